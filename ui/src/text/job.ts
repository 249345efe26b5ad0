// Jobs, in the queue and on their own page.

import type { Phase, Stage } from "../api/types";
import { cpus, span } from "../format/quantity";
import { plural } from "./plural";

export const job = {
  phase: {
    queued: "Waiting",
    running: "Running",
    finished: "Finished",
  } satisfies Record<Phase, string>,

  outcome: {
    success: "Succeeded",
    failure: "Failed",
    cancelled: "Cancelled",
    timedOut: "Out of time",
    replaced: "Replaced",
    deleted: "Deleted",
  },

  step: {
    queued: "Waited",
    image: "Image",
    inputs: "Inputs",
    create: "Container",
    run: "Run",
    collect: "Outputs",
  } satisfies Record<Stage["name"], string>,

  doing: {
    image: "Getting the image",
    inputs: "Getting the inputs",
    create: "Making the container",
    run: "Running",
    collect: "Collecting the outputs",
  },

  queue: {
    title: "Queue",
    search: "Search jobs",
    tabs: { all: "All", running: "Running", waiting: "Waiting", finished: "Finished", failed: "Failed" },
    tabsLabel: "State",
    anySite: "All sites",
    site: "Site",
    list: "Jobs",
    built: "built by the job",
    noCommand: "default command",
    place: (place: number) => (place === 1 ? "Next" : `No. ${place}`),
    waits: "Waits for its turn",
    exit: (code: number) => `exit ${code}`,
    program: "a program",
    moreSites: (amount: number) => `+${amount}`,
    emptyTitle: "Nothing has run yet",
    emptyWords: "Jobs from web pages and scripts show up here. Run the sample job to see one.",
    emptyAction: "Start here",
    noneRunning: "No job is running",
    noneWaiting: "No job is waiting",
    noneFinished: "No job has finished",
    noneFailed: "No job has failed",
    noneWords: "They show up here by themselves.",
    noMatch: "No job matches",
    noMatchWords: "Try fewer words, or another filter.",
    clear: "Clear search and filters",
    keys: [
      { key: "↑ ↓", does: "choose" },
      { key: "Enter", does: "open" },
      { key: "M", does: "menu" },
      { key: "/", does: "search" },
    ],
  },

  job: {
    back: "Queue",
    open: "Open",
    cancelIt: "Cancel the job",
    again: "Run again",
    link: "Copy link",
    docker: "Copy as docker run",
    delete: "Delete",
    pin: "Keep always",
    unpin: "Do not keep always",
    pinned: "Kept always",
    cancelled: (name: string) => `Cancelled “${name}”`,
    runsAgain: (name: string) => `“${name}” runs again`,
    deleted: (name: string) => `Deleted “${name}”`,
    linkCopied: "Link copied",
    commandCopied: "Command copied",
    cancelTitle: "Cancel this job?",
    cancelWords: (ran: number) => `It has run for ${span(ran)}. What it has computed so far is lost.`,
    keepRunning: "Let it run",
    againTitle: "Run it again?",
    againWords: (name: string) => `The kept result of “${name}” is replaced by the new one.`,
    goneTitle: "This job is not here",
    goneWords: "It was deleted, or it never ran on this computer.",
    toQueue: "To the queue",
    notes: "Notes",
    timeline: "What happened when",
    total: (time: string) => `${time} in total`,
    queuedAt: "Queued",
    needs: "Needs",
    sites: "Asked for by",
    exitCode: "Exit code",
    tabs: { log: "Log", files: "Files", resources: "Resources", definition: "Definition" },
    tabsLabel: "Details of the job",
    needsCpus: (milli: number) => `${cpus(milli / 1000)} ${milli === 1000 ? "CPU" : "CPUs"}`,
    needsMemory: (size: string) => `${size} memory`,
    needsGpus: (amount: number) => plural(amount, "GPU"),
  },

  /** What to do about a failure, by its code. */
  // By the server's codes, and ours. What the server's own words say to do is not said twice.
  advice: {
    "disk-full": "Make room: delete what you no longer need on the screen Cache.",
    "disk-failed": "Make room: delete what you no longer need on the screen Cache.",
    "engine-refused": "Run the job again. When it fails the same way, restart the container engine.",
    "timed-out": "Raise the time limit in the settings, or let the page ask for more time.",
    "exit-code": "The program itself ended with an error. The end of the log usually says why.",
  } as Record<string, string | undefined>,

  failure: {
    exit: (code: number) => `The program ended with exit code ${code}`,
    timedOut: "The job ran out of time",
    error: "The job could not run",
    killed: "It was ended from outside, most often because it used more memory than it may.",
    notFound: "The command does not exist in this image. Check its spelling, or choose another image.",
  },
};
