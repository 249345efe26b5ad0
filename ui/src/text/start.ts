// The first steps, and the check-up.

import type { Engine } from "../api/types";
import { plural } from "./plural";

export const start = {
  start: {
    title: "Start here",
    lead: "Three steps until web pages can compute on this computer.",
    ready: "Everything is ready. Web pages can compute on this computer.",
    engineTitle: "Container engine",
    engineMoving: "Jobs start again when the data folder is at its new place.",
    engineWaiting: "Looks again by itself. No need to reload.",
    engineCodes: {
      "engine-ready": "The engine is ready",
      "engine-not-installed": "No container engine is installed",
      "engine-not-running": "The container engine is not running",
      "engine-no-permission": "You may not use the container engine yet",
      "engine-too-old": "The container engine is too old",
    } satisfies Record<Engine["code"], string>,
    sampleTitle: "A first job",
    sampleWords: "A small job that writes a table and draws a plot. It takes a few seconds.",
    sampleButton: "Run the sample job",
    sampleAgain: "Run it again",
    sampleSee: "See its result",
    sampleNeeds: "Needs the engine first.",
    pageTitle: "Your web pages",
    pageWords: "Let a metapage compute here instead of in the cloud:",
    pageSteps: [
      "Open the metapage, and in it a box that runs a container.",
      "Open the settings of the box and switch the queue to local.",
      "Allow the site when it asks, on the screen Sites or in the tray.",
    ],
    pageQueue: "Name of the queue",
    pageOpen: "Open metapage.io",
    doctorTitle: "Check-up",
    doctorAgain: "Check again",
    doctorRunning: "Checking…",
    verdict: { fine: "Fine", warning: "Look at this", problem: "Problem" },
    doctorAllFine: "All is well",
    doctorSome: (problems: number, warnings: number) =>
      [problems > 0 ? plural(problems, "problem") : "", warnings > 0 ? plural(warnings, "warning") : ""]
        .filter(Boolean)
        .join(", "),
    copyCommand: "Copy the command",
    step: (at: number) => `Step ${at}`,
    done: "Done",
  },
};
