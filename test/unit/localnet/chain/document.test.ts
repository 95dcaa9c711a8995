import { expect, it } from "vitest";
import { faultShape } from "../../../../localnet/chain/faults.ts";
import { ONE_MINT, USDC_MINT } from "../../../../localnet/chain/mints.ts";
import { METHODS } from "../../../../localnet/chain/rpc/dispatch.ts";
import { read } from "../../source-files.ts";

const page = read("docs/localnet.md");

it("lists every method, and no other", () => {
  const list = /^Methods: ([^.]*)\./m.exec(page)?.[1] ?? "";
  const named = [...list.matchAll(/`(\w+)`/g)].map(([, name]) => name);
  expect(named).toEqual([...METHODS].sort());
});

it("names every fault and the mints", () => {
  const table = page.slice(page.indexOf("| fault |"));
  const kinds = faultShape.options.map(({ shape }) => shape.kind.value);
  expect(kinds.filter((kind) => !new RegExp(`^\\| \`${kind}[=\`]`, "m").test(table))).toEqual([]);
  expect(page).toContain(`| USDC | 6 | \`${USDC_MINT}\` |`);
  expect(page).toContain(`| $ONE | 9 | \`${ONE_MINT}\` |`);
});
