// One clock for everything that ticks. It stands still while nothing looks at it or the window is hidden.

import { createSubscriber } from "svelte/reactivity";

const subscribe = createSubscriber((update) => {
  const timer = setInterval(() => {
    if (!document.hidden) update();
  }, 1000);
  document.addEventListener("visibilitychange", update);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", update);
  };
});

/** The time; whoever reads it in a template is drawn again each second. */
export function now(): number {
  subscribe();
  return Date.now();
}
