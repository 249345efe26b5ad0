// Every word that people read comes from here and from the folder beside it. Short, clear, and says what to do.

import { cache } from "./text/cache";
import { details } from "./text/details";
import { frame } from "./text/frame";
import { job } from "./text/job";
import { plural } from "./text/plural";
import { settings } from "./text/settings";
import { sites } from "./text/sites";
import { start } from "./text/start";

export const text = {
  name: "Deskgrid",
  undo: "Undo",
  cancel: "Cancel",
  notNow: "Not now",
  close: "Close",
  copy: "Copy",
  copied: "Copied",
  notCopied: "This browser does not let Deskgrid copy. Select the text and copy it with the keyboard.",
  show: "Show",
  save: "Save",
  retry: "Try again",
  more: "More actions",
  dismiss: "Dismiss",
  messages: "Messages",
  showMore: "Show more",
  of: (part: string, whole: string) => `${part} of ${whole}`,
  jobs: (amount: number) => plural(amount, "job"),
  files: (amount: number) => plural(amount, "file"),
  leftToUndo: (seconds: number) => `${seconds} s`,

  ...frame,
  ...job,
  ...details,
  ...cache,
  ...sites,
  ...settings,
  ...start,
};
