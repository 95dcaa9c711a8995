import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ClaimStore } from "../../../daemon/claims/store.ts";
import { writeWholeFile } from "../../../daemon/whole-file.ts";
import { collectingLog, tempFolder } from "./bench.ts";

it("writes a file for its owner alone, in the place of the one before, and leaves nothing beside it", async () => {
  const folder = tempFolder();
  const path = join(folder, "claim.json");
  await writeWholeFile(path, "first");
  await writeWholeFile(path, "second, \u{1F600}");
  expect(await readFile(path, "utf8")).toBe("second, \u{1F600}");
  expect(await readdir(folder)).toEqual(["claim.json"]);
  if (process.platform !== "win32") expect((await stat(path)).mode & 0o777).toBe(0o600);
});

it("is one of the whole texts when many write it at once", async () => {
  const path = join(tempFolder(), "claim.json");
  const texts = Array.from({ length: 20 }, (_, index) => String(index).repeat(10_000));
  await Promise.all(texts.map((text) => writeWholeFile(path, text)));
  expect(texts).toContain(await readFile(path, "utf8"));
});

it("leaves what was there, and nothing else, where it cannot write", async () => {
  const folder = tempFolder();
  const path = join(folder, "claim.json");
  // A folder that is not empty cannot be replaced by a file.
  await mkdir(join(path, "inside"), { recursive: true });
  await expect(writeWholeFile(path, "text")).rejects.toThrow();
  await expect(writeWholeFile(join(folder, "missing", "claim.json"), "text")).rejects.toThrow(/ENOENT/);
  expect(await readdir(folder)).toEqual(["claim.json"]);
  expect(await readdir(path)).toEqual(["inside"]);
});

it("is tidied up at the next start where a killed process left a part of it", async () => {
  const folder = tempFolder();
  await writeFile(join(folder, "0353-1.json.0011aabbccdd.part"), '{"type":"do');
  const store = await ClaimStore.open(folder, collectingLog().log);
  expect(store.waiting).toEqual([]);
  expect(await readdir(folder)).toEqual([".probe"]);
});
