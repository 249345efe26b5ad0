// The data folder on its way to another place.

import type { Desk } from "../api/types";

/** The move that is under way; one that failed is over. */
export function moveOf(desk: Pick<Desk, "move"> | null): Desk["move"] {
  return desk?.move && desk.move.problem === null ? desk.move : null;
}
