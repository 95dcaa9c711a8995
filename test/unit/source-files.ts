import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** The folders that run on the edge. */
export const edgeFolders = ["core", "protocol", "durable-objects", "db", "queues", "workers"];
export const folders = [...edgeFolders, "daemon", "web", "localnet", "bench", "test"].filter((folder) =>
  existsSync(join(root, folder)),
);

/** What is in the tree but written elsewhere: the test model's training, the copied API reference and a gateway that is measured. */
const foreign = ["localnet/model/", "web/public/docs/", "bench/.portkey/"];

/** Every source file of the given folders, as a path from the root with forward slashes. */
export function sourceFiles(within: readonly string[] = folders): string[] {
  return within
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => `${folder}/${name}`),
    )
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => /\.(ts|tsx|js|mjs|cjs|css)$/.test(path))
    .filter((path) => !foreign.some((start) => path.startsWith(start)));
}

export const read = (path: string): string => readFileSync(join(root, path), "utf8");
export const countLines = (text: string): number => text.replace(/\n$/, "").split("\n").length;
