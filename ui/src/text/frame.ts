// The frame around the screens: sidebar, banners, and what shows when there is nothing else.

import type { Engine } from "../api/types";
import { plural } from "./plural";

export const frame = {
  nav: {
    label: "Screens",
    queue: "Queue",
    cache: "Cache",
    sites: "Sites",
    settings: "Settings",
    start: "Start here",
    collapse: "Collapse the sidebar",
    expand: "Expand the sidebar",
    asking: (amount: number) => `${plural(amount, "site asks", "sites ask")}`,
    running: (amount: number) => `${plural(amount, "job runs", "jobs run")}`,
    skip: "Skip to content",
  },

  server: {
    label: "Server",
    /** Short, for the foot of the sidebar. */
    engineCodes: {
      "engine-ready": "Engine ready",
      "engine-not-installed": "No engine installed",
      "engine-not-running": "Engine not running",
      "engine-no-permission": "Engine not permitted",
      "engine-too-old": "Engine too old",
    } satisfies Record<Engine["code"], string>,
    running: "Running",
    stopped: "Stopped",
    moving: "Moves its data folder",
    quitting: (jobs: number) => `Quits when ${plural(jobs, "job has", "jobs have")} finished`,
    blocked: "Cannot open its port",
    unreachable: "Not reachable",
    connecting: "Connecting…",
    at: (address: string) => address.replace(/^https?:\/\//, ""),
    copyAddress: "Copy the address",
    addressCopied: "Address copied",
    start: "Start",
    stop: "Stop",
    quit: "Quit Deskgrid",
    menu: "Deskgrid menu",
    openInBrowser: "Open in browser",
    cpu: "CPU",
    memory: "Memory",
    /** Jobs that name no amount of memory take what they need of what is there. */
    noMemoryAsked: "none reserved",
    gpus: "GPU",
    stopTitle: "Stop Deskgrid?",
    stopWords: (jobs: number) =>
      `${plural(jobs, "job is", "jobs are")} running. Web pages will not reach Deskgrid, and no further job starts.`,
    /** For a page that goes through the port itself. */
    stopIdle: "Web pages will not reach Deskgrid, and no further job starts.",
    stopCutsOff: "This page is one of them: it shows nothing new from then on.",
    wayBack: {
      terminal: "To start Deskgrid again, run `deskgrid dashboard` in a terminal.",
      tray: "To start Deskgrid again, choose Start in the menu of its tray icon.",
      window: "To start Deskgrid again, open it from the list of applications and press Start.",
    },
    quitTitle: "Quit Deskgrid?",
    quitWords: (jobs: number) => `${plural(jobs, "job is", "jobs are")} running. What should become of them?`,
    finish: "Let them finish",
    finishHint: "Their results are kept as always.",
    keep: "Keep them running without Deskgrid",
    keepHint: "They are taken over at the next start.",
    cancelJobs: (jobs: number) => `Cancel ${jobs === 1 ? "it" : "them"} now`,
    cancelHint: "What they have computed so far is lost.",
  },

  banner: {
    closedTitle: "Deskgrid is stopped",
    closed: "Web pages cannot reach it, and no further job starts.",
    stay: "Do not quit",
    blockedTitle: "Deskgrid could not open its port",
    changePort: "Change the port",
    engine: "See what to do",
    dismiss: "Understood",
    notice: "Deskgrid needs your attention",
    moveTitle: "The data folder is being moved",
    move: (to: string) => `To ${to}. Jobs start again when it is there.`,
  },

  /** By their codes; the words are the server's. */
  notices: {
    "disk-low": "The disk is nearly full",
    "records-rebuilt": "The job records were damaged",
    "records-damaged": "The job records are damaged",
    "records-unwritten": "The job records cannot be written",
    "disk-read-only": "The disk may only be read",
    "files-damaged": "Stored files were damaged",
  } as Record<string, string | undefined>,

  offline: {
    short: "Deskgrid does not answer.",
    title: "Deskgrid does not answer",
    stoppedTitle: "Deskgrid is stopped",
    stopped: (wayBack: string) => `This page cannot reach it. ${wayBack}`,
    movingTitle: "Deskgrid is moving its data folder",
    moving: "This page comes back by itself when that is done.",
    serve:
      "It was stopped or has ended. Run `deskgrid dashboard` in a terminal to open it again, or `deskgrid serve` where it has ended.",
    browser: "It has been stopped or has quit. Start it from its tray icon, or run `deskgrid serve`.",
    window: "It may be starting, or it has quit. Start it from the list of applications.",
    retryIn: (seconds: number) => (seconds <= 0 ? "Trying…" : `Trying again in ${seconds} s`),
    retrying: "Trying…",
    now: "Try now",
  },

  signIn: {
    title: "Sign in to Deskgrid",
    words: "Only you may see what runs on this computer.",
    tray: "Choose Open in browser in the menu of the tray icon.",
    terminal: "Or run this in a terminal:",
    command: "deskgrid dashboard",
    paste: "Or paste the token. It is in the file `token` in the data folder.",
    field: "Token",
    button: "Sign in",
    wrong: "This is not the token of this Deskgrid. Copy the whole line of the file.",
    empty: "Paste the token first.",
  },

  failed: {
    title: "This could not be loaded",
    movingTitle: "Not at the moment",
    moving: "This is here again when the data folder is at its new place.",
  },
};
