import { expect, it } from "vitest";
import { EXIT } from "../../../daemon/failure.ts";
import { shownEpoch } from "../../../protocol/network/epochs.ts";
import { rowAfter, USD } from "../../support/daily.ts";
import { serveHttp } from "./fake-engine.ts";
import { API_KEY, run } from "./run-cli.ts";

const today = rowAfter(null, { epoch: 20_782 });
const next = shownEpoch(rowAfter(today, { issued: 10 * USD, spent: 4 * USD }));

async function daily(found: object, ...args: string[]) {
  const keys: (string | undefined)[] = [];
  const url = await serveHttp((request, response) => {
    keys.push(request.headers.authorization);
    const isThis = request.url === "/api/v1/epochs/daily";
    response.writeHead(isThis ? 200 : 404, { "content-type": "application/json" }).end(JSON.stringify(found));
  });
  return { ...(await run(["--url", url, "--api-key", API_KEY, "epochs", "daily", ...args])), keys };
}

it("shows both days' rates and a sentence for all that they come from, and sends no key", async () => {
  const { code, out, keys } = await daily({ current: shownEpoch(today), next, next_is_estimate: true });
  expect([code, keys]).toEqual([EXIT.ok, [undefined]]);
  expect(out).toMatch(/^2026-11-25 +in force +0\.000009999\d+ +9\.9+ /m);
  expect(out).toMatch(/^2026-11-26 +estimate +/m);
  expect(out).toMatch(/^2026-11-26:$/m);
  expect(out).toContain(
    "  For 2026-11-24 $10.000000000 were issued and $4.000000000 spent, so the budget counts by 90 %.",
  );
});

it("says where today has no row, and gives programs what the network says", async () => {
  const found = { current: null, next, next_is_estimate: false };
  expect((await daily(found)).out).toContain("Today has no row, so nobody has an allotment.");
  expect((await daily(found)).out).toMatch(/^2026-11-26 +made +/m);
  expect(JSON.parse((await daily(found, "--json")).out)).toEqual(found);
});
