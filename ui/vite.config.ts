import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

// Relative addresses, so that the same files work below /dashboard/ and inside the window; nothing inline, for the
// strict content policy that both send.
export default defineConfig({
  base: "./",
  plugins: [svelte()],
  build: {
    target: ["es2022", "chrome110", "firefox115", "safari16.4"],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { port: 5173, strictPort: true },
  test: { include: ["src/**/*.test.ts"] },
});
