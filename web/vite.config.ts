/// <reference types="vitest/config" />
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// The server that `npm run dev` talks to; TREFOIL_DEV=http://host:port changes it.
const backend = process.env["TREFOIL_DEV"] ?? "http://localhost:8080";
const proxied = { target: backend, ws: true, changeOrigin: true, headers: { origin: backend } };

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // the content security policy allows no data: URLs
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: { proxy: { "/api": proxied, "/healthz": proxied, "/readyz": proxied } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
  resolve: process.env["VITEST"] ? { conditions: ["browser"] } : {},
});
