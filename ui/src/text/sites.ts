// Sites.

import { count } from "../format/quantity";
import { plural } from "./plural";

export const sites = {
  sites: {
    title: "Sites",
    subtitle: "Web pages may run containers on this computer only when you allow it.",
    asking: "Asking",
    allowed: "Allowed",
    blocked: "Blocked",
    asks: "wants to run jobs",
    asksWords:
      "A site that you allow may run programs in containers. They see only the files that the page gives them, and use CPU, memory and disk within your limits.",
    asked: (times: number, when: string) => (times === 1 ? `Asked ${when}` : `Asked ${count(times)} times, last ${when}`),
    allow: "Allow",
    allowOnce: "Allow once",
    onceHint: "Until Deskgrid is started anew",
    block: "Block",
    unblock: "Unblock",
    revoke: "Revoke",
    allowedToast: (site: string) => `${site} is allowed`,
    allowedOnce: (site: string) => `${site} is allowed until the next start`,
    blockedToast: (site: string) => `${site} is blocked`,
    forgotten: (site: string) => `${site} has to ask again`,
    source: {
      decision: "You allowed it",
      settings: "From the settings file",
      shipped: "Allowed from the start",
      once: "Until the next start",
    },
    blockedSource: { decision: "You blocked it", settings: "Blocked in the settings file" },
    since: (day: string) => `since ${day}`,
    lastUsed: (day: string) => `used ${day}`,
    neverUsed: "not used yet",
    network: "Network of its jobs",
    internet: "Internet",
    none: "None",
    noNetwork: "No network",
    compatible: "Compatible mode",
    compatibleHint: "Fewer restrictions inside containers, for images that need root. Turn it on only for sites you trust.",
    seeJobs: (amount: number) => plural(amount, "job"),
    noneTitle: "No site has asked yet",
    noneWords: "Open a web page that uses Deskgrid. It asks here, and nothing runs before you allow it.",
    noneAllowed: "No site is allowed yet.",
    add: "Allow a site by its address",
    addPlaceholder: "https://example.org",
    changed: (site: string) => `Saved for ${site}`,
    details: "Settings of the site",
  },
};
