import { describe, expect, it } from "vitest";
import { chooseEngine } from "../../../localnet/network/provider.ts";
import { root } from "../source-files.ts";

describe("the local network's engine", () => {
  it("that was named and is none is said in the command's own words", async () => {
    const named = chooseEngine(root, ["--engine", "http://127.0.0.1:47"]);
    await expect(named).rejects.toThrow(/^http:\/\/127\.0\.0\.1:47 is no engine: .*correct --engine/);
    await expect(named).rejects.toMatchObject({ code: 3 });
  });
});
