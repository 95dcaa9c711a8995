import { describe, expect, it } from "vitest";
import { EXIT } from "../../../daemon/failure.ts";
import { serveHttp } from "./fake-engine.ts";
import { API_KEY, NOWHERE, run } from "./run-cli.ts";

const LINK = "solana:HpDt?amount=20";
const PAYMENT = {
  id: "1uPYvJZ0zXkq3pYt8mC2Qa",
  signature: "3Bxs3zs1Fb",
  instruction: 2,
  at: "2026-11-25T12:01:00.000Z",
  kind: "topup",
  amount_usdc: "20.000000",
  mint: "Emfp",
  units: "20000000",
  payer: null,
  state: "credited",
  reason: "exact",
  seq: 2,
};
const OPEN = {
  id: "d-1",
  kind: "topup",
  package: null,
  amount_usd: "20.000000000",
  state: "open",
  recipient: "HpDt",
  mint: "Emfp",
  reference: "8sLb",
  solana_pay_url: LINK,
  created_at: "2026-11-25T12:00:00.000Z",
  expires_at: "2026-11-26T12:00:00.000Z",
  payments: [] as (typeof PAYMENT)[],
};
const CREDITED = { ...OPEN, state: "credited", payments: [PAYMENT] };

/** A network whose deposit is as these say, one call after the other, and the last one for good. */
async function network(...answers: object[]) {
  const asked: { call: string; body: unknown }[] = [];
  const url = await serveHttp((request, response, text) => {
    asked.push({ call: `${request.method} ${request.url}`, body: text === "" ? null : JSON.parse(text) });
    const answer = answers[Math.min(asked.length, answers.length) - 1];
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
  });
  const tollmill = (...args: string[]) => run(["--url", url, "--api-key", API_KEY, ...args]);
  return { url, asked, tollmill };
}

describe("tollmill deposit", () => {
  it("shows the link with its QR code and waits until it is credited", async () => {
    const { asked, tollmill } = await network(OPEN, CREDITED);
    const { code, out, err } = await tollmill("deposit", "20", "--id", "d-1");
    expect(code).toBe(EXIT.ok);
    expect(out.split("\n")).toEqual([LINK, "20 USDC credited as topup (entry 2): exact, 3Bxs3zs1Fb"]);
    expect(err).toMatch(/[█▀▄]{10}/);
    expect(err).toContain("Pay 20 USDC on Solana until 2026-11-26T12:00:00.000Z:");
    expect(asked).toEqual([
      { call: "POST /api/v1/deposits", body: { id: "d-1", kind: "topup", amount: "20" } },
      { call: "GET /api/v1/deposits/d-1", body: null },
    ]);
  });

  it("asks for a package by its name, under an id that it tells", async () => {
    const { asked, tollmill } = await network(OPEN);
    const { code, out, err } = await tollmill("deposit", "team", "--no-wait");
    expect([code, out]).toEqual([EXIT.ok, LINK]);
    const body = asked[0]?.body as { id: string };
    expect(body).toEqual({ id: expect.any(String) as string, kind: "package", package: "team" });
    expect(err).toContain(`Asking under --id ${body.id}`);
    expect(asked).toHaveLength(1);
  });

  it("is JSON for programs, and the link alone where nobody waits", async () => {
    const { tollmill } = await network(OPEN, CREDITED);
    const { out } = await tollmill("--json", "deposit", "20", "--id", "d-1");
    expect(JSON.parse(out)).toEqual(CREDITED);
    const second = await network(OPEN);
    expect(JSON.parse((await second.tollmill("--json", "deposit", "20", "--no-wait")).out)).toEqual(OPEN);
  });

  it("ends otherwise where it was not credited in time, and says how to go on", async () => {
    const { tollmill } = await network(OPEN);
    const { code, err } = await tollmill("deposit", "20", "--id", "d-1", "--timeout", "1");
    expect(code).toBe(EXIT.refused);
    expect(err).toContain("It is open. To go on waiting: tollmill deposit 20 --id d-1");
    const suspense = {
      ...OPEN,
      state: "suspense",
      payments: [{ ...PAYMENT, state: "suspense", reason: "wrong_mint" }],
    };
    const second = await network(OPEN, suspense);
    const ended = await second.tollmill("deposit", "20", "--id", "d-1");
    expect([ended.code, ended.out]).toEqual([
      EXIT.refused,
      expect.stringContaining("20 USDC suspense: wrong_mint, 3Bxs3zs1Fb"),
    ]);
  });

  it("says what is wrong: an id, no local chain for --pay", async () => {
    const { tollmill } = await network(OPEN);
    expect(await tollmill("deposit", "20", "--id", "../x")).toMatchObject({ code: EXIT.usage });
    const unpaid = await tollmill("deposit", "20", "--pay", "--rpc", NOWHERE);
    expect(unpaid.code).toBe(EXIT.unreachable);
    expect(unpaid.err).toContain("so --pay pays nothing");
  });
});

it("lists packages", async () => {
  const offer = {
    price_usd: "50.000000000",
    included_usd: "50.000000000",
    slots: 1,
    queue_p95_ms: 2_000,
    valid_days: 30,
  };
  const { tollmill } = await network({ data: [{ id: "starter", ...offer }] });
  const { out } = await tollmill("packages");
  expect(out).toMatch(/^package +USD +usage in USD +slots +days$/m);
  expect(out).toMatch(/^starter +50 +50 +1 +30$/m);
});

describe("tollmill admin deposits", () => {
  const DEPOSIT = { ...PAYMENT, state: "suspense", reason: "no_reference", seq: null };
  const ARRIVED = { ...DEPOSIT, account: null, intent: null, seen_at: PAYMENT.at, resolution: null };
  const ACCOUNT = "0R7uXmQ2b1vXkYt3Zp9aLc";
  const PROPOSAL = {
    id: "r-1",
    deposit: DEPOSIT.id,
    action: "credit",
    account: ACCOUNT,
    reason: "told",
    state: "proposed",
    proposed_by: "alice",
    proposed_at: PAYMENT.at,
    expires_at: PAYMENT.at,
    approved_by: null,
    approved_at: null,
    declined_by: null,
    declined_at: null,
    outcome: null,
  };
  const admin = ["admin", "--key", "key-of-alice", "deposits"];

  it("lists what is in suspense", async () => {
    const { asked, tollmill } = await network({ data: [ARRIVED], next: null });
    const { out } = await tollmill(...admin, "list", "--state", "suspense");
    expect(out).toMatch(/^1uPY\w+ +2026-11-25 12:01 +suspense +no_reference +20\.000000 +3Bxs3zs1Fb$/m);
    expect(asked[0]?.call).toBe("GET /api/v1/admin/deposits?limit=1000&state=suspense");
    const second = await network({ data: [PROPOSAL], next: null });
    expect((await second.tollmill(...admin, "proposals")).out).toMatch(/^r-1 +2026-11-25 12:01 +proposed +credit /m);
  });

  it("proposes, approves only with --yes, and declines", async () => {
    const { asked, tollmill } = await network(PROPOSAL);
    const reason = ["--reason", "told", "--id", "r-1"];
    const made = await tollmill(...admin, "credit", DEPOSIT.id, ACCOUNT, ...reason);
    expect(made.out).toBe(`r-1: credit ${ACCOUNT} with deposit ${DEPOSIT.id}, proposed: told`);
    await tollmill(...admin, "returned", DEPOSIT.id, ...reason);
    await tollmill(...admin, "kept", DEPOSIT.id, ...reason);
    expect((await tollmill(...admin, "approve", "r-1")).err).toContain("approve r-1 --yes");
    await tollmill(...admin, "approve", "r-1", "--yes");
    await tollmill(...admin, "decline", "r-1");
    const path = `POST /api/v1/admin/deposits/${DEPOSIT.id}/resolutions`;
    expect(asked).toEqual([
      { call: path, body: { id: "r-1", reason: "told", action: "credit", account: ACCOUNT } },
      { call: path, body: { id: "r-1", reason: "told", action: "return" } },
      { call: path, body: { id: "r-1", reason: "told", action: "keep" } },
      { call: "POST /api/v1/admin/deposit-resolutions/r-1/approve", body: null },
      { call: "POST /api/v1/admin/deposit-resolutions/r-1/decline", body: null },
    ]);
    expect(await tollmill(...admin, "credit", "x", ACCOUNT, ...reason)).toMatchObject({ code: EXIT.usage });
  });
});
