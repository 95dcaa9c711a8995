// Bundles the command line into dist/tollmill/, for packages: Node strips no types below node_modules. Run by `npm pack`.

import { fileURLToPath } from "node:url";
import { build } from "vite";

// Packages that are CommonJS may name their own file, which a module does not know.
const banner = `import { fileURLToPath as bannerFileUrlToPath } from "node:url";
const __filename = bannerFileUrlToPath(import.meta.url);`;

await build({
  root: fileURLToPath(new URL("..", import.meta.url)),
  configFile: false,
  publicDir: false,
  logLevel: "warn",
  ssr: { noExternal: true, external: ["node-llama-cpp"] },
  build: {
    ssr: "daemon/main.ts",
    outDir: "dist/tollmill",
    emptyOutDir: true,
    target: "node22",
    rolldownOptions: { output: { entryFileNames: "main.mjs", chunkFileNames: "[name].mjs", banner } },
  },
});
