import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

// Relative addresses, so that the same files work below /dashboard/ and inside the window; nothing inline, for the
// strict content policy that both send.
export default defineConfig({
  base: "./",
  plugins: [svelte()],
  build: {
    // The first that have the attribute `popover`, of which the menus are made. The web view of macOS has it from 14 on.
    target: ["es2022", "chrome114", "firefox125", "safari17"],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { port: 5173, strictPort: true },
  test: { include: ["src/**/*.test.ts"] },
});
