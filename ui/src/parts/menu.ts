// What a menu holds.

import type { IconName } from "./icons";

export type MenuItem = {
  id: string;
  label: string;
  icon?: IconName;
  isDanger?: boolean;
  act: () => unknown;
};
