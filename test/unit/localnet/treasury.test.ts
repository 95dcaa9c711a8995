import { expect, it } from "vitest";
import { ONE_MINT, TREASURY, USDC_MINT } from "../../../localnet/chain/mints.ts";
import { read } from "../source-files.ts";

it("has the treasury and the coins that wrangler.toml names", () => {
  const settings = read("wrangler.toml");
  expect(settings).toContain(`\nTREASURY_ADDRESS = "${TREASURY}"\n`);
  expect(settings).toContain(`\nUSDC_MINT = "${USDC_MINT}"\n`);
  expect(settings).toContain(`\nSTAKE_MINT = "${ONE_MINT}"\n`);
});
