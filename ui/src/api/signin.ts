// The key of the dashboard: from a one-time ticket in the address, or pasted. Not used inside the window.

import { Client } from "./client";
import { HttpTransport } from "./http";

const PLACE = "deskgrid.key";

export function storedKey(): string | null {
  return localStorage.getItem(PLACE);
}

export function keepKey(key: string): void {
  localStorage.setItem(PLACE, key);
}

export function dropKey(): void {
  localStorage.removeItem(PLACE);
}

export function ticketIn(hash: string): string | null {
  return /^#(?:.*&)?ticket=([^&]+)/.exec(hash)?.[1] ?? null;
}

/** Trades a ticket in the address for a key, and takes the ticket out of the address and the history. */
export async function redeemTicket(base: string): Promise<void> {
  const ticket = ticketIn(location.hash);
  if (ticket === null) return;
  history.replaceState(null, "", `${location.pathname}#/queue`);
  try {
    keepKey(await new Client(new HttpTransport(base, () => null)).redeem(decodeURIComponent(ticket)));
  } catch {
    // An old ticket: the sign-in screen says what to do, unless an earlier key still works.
  }
}
