// Whether the system is dark just now, for what is drawn without CSS.

import { MediaQuery } from "svelte/reactivity";

const dark = new MediaQuery("prefers-color-scheme: dark");

export const prefersDark = () => dark.current;
