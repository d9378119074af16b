/// <reference types="vitest/config" />
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const server = "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../src/scope/web", // shipped inside the Python package
    emptyOutDir: true,
    assetsInlineLimit: 0, // the content security policy has no data: for fonts and scripts
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": server, "/health": server } },
  test: { environment: "node", include: ["src/**/*.test.{ts,tsx}"] },
});
