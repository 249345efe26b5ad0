// The filter of the queue, which stays as it is while the person looks at a job.

import { NO_FILTER, type Filter } from "../../state/filter";

export const kept: Filter = $state({ ...NO_FILTER });
