import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { KeyId, MemberId, SessionId, WalletAddress } from "../../../../core/ids.ts";
import { LIMITS } from "../../../../core/limits.ts";
import { hashText } from "../../../../core/receipt/canonical.ts";
import type { SessionCommand } from "../../../../protocol/internal/session.ts";
import { idOf } from "../../../support/receipts.ts";
import type { Bank } from "../bank.ts";
import { heat, holdAt, openRich } from "./hot-bank.ts";

const WORTH = 10_000;
const ownerOf = (bank: Bank) => idOf(`key of ${bank.name}`) as unknown as MemberId;
const hashes = (name: string) => ({ secretHash: hashText(`access ${name}`), refreshHash: hashText(`refresh ${name}`) });
const credentialsOf = (name: string) => ({ secretHash: hashes(name).secretHash });
const WALLET = "wallet" as WalletAddress;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
});
afterEach(() => {
  vi.useRealTimers();
});

function beginOf(bank: Bank, name: string, recovery = false): SessionCommand {
  const id = idOf<never>(`session ${name}`) as unknown as SessionId;
  const key = idOf("session key") as unknown as KeyId;
  return { type: "begin", id, member: ownerOf(bank), key, wallet: WALLET, recovery, hashes: hashes(name) };
}

/** A busy account whose owner has two sessions, and whose slices know them. */
async function openSignedIn(): Promise<Bank> {
  const bank = await openRich(WORTH);
  for (const command of [beginOf(bank, "one"), beginOf(bank, "two"), beginOf(bank, "lost", true)]) {
    expect(await bank.rpc.sessions(command)).toMatchObject({ ok: true });
  }
  await heat(bank);
  return bank;
}

it("lets a session begin jobs at slices, and a recovery wallet's none", async () => {
  const bank = await openSignedIn();
  expect((await holdAt(bank, 1, { credentials: credentialsOf("one") })).answer.type).toBe("held");
  expect((await holdAt(bank, 1, { credentials: credentialsOf("lost") })).answer.type).toBe("elsewhere");
});

it.each([
  ["it signs out", () => ({ type: "end", credentials: credentialsOf("one"), which: "own" })],
  ["another one ends it", () => ({ type: "end", credentials: credentialsOf("two"), which: idOf("session one") })],
  [
    "its refresh token comes twice",
    () => ({ type: "refresh", refreshHash: hashes("one").refreshHash, next: hashes("thief") }),
  ],
] as [string, () => SessionCommand][])("ends a session everywhere before it answers that %s", async (_, command) => {
  const bank = await openSignedIn();
  const credentials = credentialsOf("one");
  expect((await holdAt(bank, 1, { credentials })).answer.type).toBe("held");
  if (command().type === "refresh") await bank.rpc.sessions({ ...command(), next: hashes("next") } as SessionCommand);
  await bank.rpc.sessions(command());
  expect((await holdAt(bank, 1, { credentials })).answer.type).toBe("elsewhere");
  expect(await bank.rpc.check(credentials, null)).toMatchObject({ refusal: { code: "invalid_api_key" } });
  expect(await bank.rpc.check(credentialsOf("two"), null)).toMatchObject({ ok: true });
});

it("ends the sessions of a wallet, and all of a member who is removed", async () => {
  const bank = await openSignedIn();
  await bank.rpc.sessions({ type: "unlinked", member: ownerOf(bank), wallet: "another" as WalletAddress });
  expect(await bank.rpc.check(credentialsOf("one"), null)).toMatchObject({ ok: true });
  await bank.rpc.sessions({ type: "unlinked", member: ownerOf(bank), wallet: WALLET });
  for (const name of ["one", "two", "lost"]) {
    expect((await holdAt(bank, 1, { credentials: credentialsOf(name) })).answer.type).toBe("elsewhere");
    expect(await bank.rpc.check(credentialsOf(name), null)).toMatchObject({ ok: false });
  }
});

it("takes an access token at slices no longer than the minute after its refresh", async () => {
  const bank = await openSignedIn();
  const credentials = credentialsOf("one");
  await bank.rpc.sessions({ type: "refresh", refreshHash: hashes("one").refreshHash, next: hashes("next") });
  expect((await holdAt(bank, 1, { credentials })).answer.type).toBe("held");
  vi.setSystemTime(Date.now() + LIMITS.sessionOverlapMs + 1_000);
  await heat(bank);
  expect((await holdAt(bank, 1, { credentials })).answer.type).toBe("elsewhere");
  expect((await holdAt(bank, 1, { credentials: credentialsOf("next") })).answer.type).toBe("held");
});
