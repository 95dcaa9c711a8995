import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { edgeSecrets, loadSecrets } from "../../../localnet/network/state.ts";

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

  it("name two operators, whose keys differ", async () => {
    const made = await loadSecrets(tempFolder());
    const { ADMIN_KEY, ...others } = edgeSecrets(made);
    expect(ADMIN_KEY).toBe(`admin:${made.ADMIN_KEY} second:${made.SECOND_ADMIN_KEY}`);
    expect(made.SECOND_ADMIN_KEY).not.toBe(made.ADMIN_KEY);
    expect(others).toEqual({ NETWORK_SEED: made.NETWORK_SEED, EDGE_KEY: made.EDGE_KEY });
  });

  it("of a run before there were two operators get the second one's key, and keep it", async () => {
    const folder = tempFolder();
    const { SECOND_ADMIN_KEY: _, ...before } = await loadSecrets(folder);
    writeFileSync(join(folder, "secrets.json"), JSON.stringify(before));
    const made = await loadSecrets(folder);
    expect(made).toEqual({ ...before, SECOND_ADMIN_KEY: expect.stringMatching(/^admin_[0-9a-f]{48}$/) });
    expect(JSON.parse(readFileSync(join(folder, "secrets.json"), "utf8"))).toEqual(made);
    expect(await loadSecrets(folder)).toEqual(made);
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
