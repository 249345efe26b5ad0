// The filter of the queue and the place in it, which stay as they are while the person looks at a job.

import { NO_FILTER, type Filter } from "../../state/filter";

export const kept: Filter = $state({ ...NO_FILTER });

/** Where the person was in the list: the row, its place among all, and how far the list was scrolled. */
export const place: { chosen: string | null; at: number; top: number } = $state({ chosen: null, at: -1, top: 0 });
