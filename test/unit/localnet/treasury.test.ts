import { expect, it } from "vitest";
import { TREASURY, USDC_MINT } from "../../../localnet/chain/mints.ts";
import { read } from "../source-files.ts";

it("pays deposits of the local network to the wallet that wrangler.toml names", () => {
  const settings = read("wrangler.toml");
  expect(settings).toContain(`\nTREASURY_ADDRESS = "${TREASURY}"\n`);
  expect(settings).toContain(`\nUSDC_MINT = "${USDC_MINT}"\n`);
});
