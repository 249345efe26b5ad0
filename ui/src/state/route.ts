// The address of a screen, below `#/`. Pure: reading `location` is the caller's.

export const SCREENS = ["queue", "cache", "sites", "settings", "start"] as const;
export type Screen = (typeof SCREENS)[number];
export type Route = { screen: Screen } | { screen: "job"; id: string };

export function readRoute(link: string): Route {
  const path = link.replace(/^deskgrid:\/\//, "").replace(/^#?\/?/, "");
  const [screen, id] = path.split("/");
  if (screen === "job" && id) return { screen, id: decoded(id) };
  const known = SCREENS.find((name) => name === screen);
  return { screen: known ?? "queue" };
}

/** What was not encoded as it should be is taken as it is; no job has that name. */
function decoded(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}

export function writeRoute(route: Route): string {
  return route.screen === "job" ? `#/job/${encodeURIComponent(route.id)}` : `#/${route.screen}`;
}
