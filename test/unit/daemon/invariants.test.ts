import { expect, it } from "vitest";
import { EXIT } from "../../../daemon/failure.ts";
import { serveHttp } from "./fake-engine.ts";
import { API_KEY, run } from "./run-cli.ts";

const SUM = {
  name: "shares",
  of: "public",
  unit: "millicredits",
  left: "82000",
  right: "82000",
  difference: "0",
  ok: true,
};
const FOUND = {
  ok: true,
  at: "2026-11-25T12:00:00.000Z",
  invariants: [SUM, { ...SUM, name: "totals", of: "pool", unit: "nano_usd", left: "-5", right: "-5" }],
  in_transfer: "40000",
  in_suspense: "6000",
  spot_check: { accounts: 2, entries: 6, differences: [] as object[] },
};

async function invariants(found: object, ...args: string[]) {
  const keys: (string | undefined)[] = [];
  const url = await serveHttp((request, response) => {
    keys.push(request.headers.authorization);
    const isThis = request.url === "/api/v1/invariants";
    response.writeHead(isThis ? 200 : 404, { "content-type": "application/json" }).end(JSON.stringify(found));
  });
  const ran = await run(["--url", url, "--api-key", API_KEY, "invariants", ...args]);
  return { ...ran, keys };
}

it("shows every sum, how old they are, and sends no key", async () => {
  const at = new Date(Date.now() - 12_000).toISOString();
  const { code, out, err, keys } = await invariants({ ...FOUND, at });
  expect([code, keys]).toEqual([EXIT.ok, [undefined]]);
  expect(out).toMatch(/^sum +of +unit +left +right +difference$/m);
  expect(out).toMatch(/^shares +public +millicredits +82000 +82000 +0 +holds$/m);
  expect(out).toMatch(/^totals +pool +nano_usd +-5 +-5 +0 +holds$/m);
  expect(err).toMatch(
    /^All 2 differences are zero, and 6 entries of 2 accounts are as the journal has them, 1[23] s ago\. Deposits in suspense: 6000 nanoUSD\. .*: 40000 millicredits\.$/,
  );
});

it("fails where a sum is not zero, and says which", async () => {
  const wrong = { ...SUM, right: "81995", difference: "5", ok: false };
  const found = { ...FOUND, ok: false, invariants: [SUM, wrong] };
  const { code, out, err } = await invariants(found);
  expect(code).toBe(EXIT.checkFailed);
  expect(out).toMatch(/^shares +public +millicredits +82000 +81995 +5 +DIFFERS$/m);
  expect(err).toMatch(/^1 of 2 differences are not zero, and /);
  const json = await invariants(found, "--json");
  expect([json.code, json.err, JSON.parse(json.out)]).toEqual([EXIT.checkFailed, "", found]);
});

it("fails where an account has another entry than the journal", async () => {
  const differences = [{ account: "Yx3", seq: 7, detail: "the account has no entry in this place" }];
  const found = { ...FOUND, ok: false, spot_check: { ...FOUND.spot_check, differences } };
  const { code, out, err } = await invariants(found);
  expect(code).toBe(EXIT.checkFailed);
  expect(out).toMatch(/^account Yx3, entry 7: the account has no entry in this place$/m);
  expect(err).toContain("1 of 6 entries of 2 accounts differ");
});
