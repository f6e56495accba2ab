import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

const gateway = process.env["MARU_URL"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [svelte()],
  build: {
    outDir: "../maru_gateway/static",
    emptyOutDir: true,
    target: "es2022",
    // The content security policy allows files only: nothing is inlined, no polyfill is injected.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: ["index.html", "docs.html"] },
  },
  server: {
    proxy: { "^/(api|board|feeds|openapi.json)": gateway },
  },
});
