import "./language";
import { mount } from "svelte";
import "../tokens.css";
import "./style/base.css";
import "./style/tones.css";
import "./style/ansi.css";
import Root from "./Root.svelte";
import { HttpTransport } from "./api/http";
import { redeemTicket, storedKey } from "./api/signin";
import { isWindow, TauriTransport } from "./api/tauri";
import type { Transport } from "./api/transport";
import { App } from "./state/app.svelte";

/** The API is on the same server as the dashboard. */
const BASE = "";

async function transport(): Promise<Transport> {
  if (isWindow()) return new TauriTransport();
  await redeemTicket(BASE);
  return new HttpTransport(BASE, storedKey);
}

const app = new App(await transport());
const target = document.getElementById("app");
if (target === null) throw new Error("index.html has no #app");
mount(Root, { target, props: { app } });
void app.transport.links((link) => app.open(link));
void app.begin();
