import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { loadSecrets } from "../../../localnet/network/state.ts";

function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tollmill-localnet-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

describe("the local network's secrets", () => {
  it("are made once, for their owner alone", async () => {
    const folder = tempFolder();
    const made = await loadSecrets(folder);
    expect(await loadSecrets(folder)).toEqual(made);
    expect(statSync(join(folder, "secrets.json")).mode & 0o777).toBe(0o600);
  });

  it.each(["", "{", "null", '{"NETWORK_SEED":"00"}'])(
    "that are damaged (%j) are named, with what to do",
    async (text) => {
      const folder = tempFolder();
      writeFileSync(join(folder, "secrets.json"), text);
      await expect(loadSecrets(folder)).rejects.toThrow(
        `${join(folder, "secrets.json")} is damaged. Run \`npm start -- --fresh\` to begin anew.`,
      );
    },
  );
});
