import path from "node:path";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const server = process.env["BRANDOS_URL"] ?? "http://127.0.0.1:4000";
const page = (name: string) => path.join(import.meta.dirname, name);

export default defineConfig({
  base: "/console/",
  plugins: [react()],
  build: {
    target: "es2023",
    // No inline script or style: the pages' policy forbids the first.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: { input: { index: page("index.html"), shop: page("shop.html") } },
  },
  server: { proxy: { "/v1": server, "/health": server, "/metrics": server } },
});
