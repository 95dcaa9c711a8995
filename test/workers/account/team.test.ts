import { evictDurableObject } from "cloudflare:test";
import { expect, it, vi } from "vitest";
import { ROLE_SCOPES, type Role } from "../../../core/account/team.ts";
import type { InviteId, KeyId, MemberId } from "../../../core/ids.ts";
import { hashText } from "../../../core/receipt/canonical.ts";
import { DAY_MS } from "../../../core/time.ts";
import type { Answer } from "../../../protocol/internal/account.ts";
import type { NewInvite } from "../../../protocol/internal/team.ts";
import { idOf } from "../../support/receipts.ts";
import { type Bank, balance, codeOf, count, hold, holdOf, inside, JOB_PRICE, openBank, post } from "./bank.ts";
import { watch } from "./watch-support.ts";

let opened = 0;
const openOwn = (): Promise<Bank> => openBank({ name: `team ${opened++}`, bonus: 10_000_000 });
const ownerOf = (bank: Bank) => idOf(`key of ${bank.name}`) as unknown as MemberId;

function inviteOf(role: Role, changes: Partial<NewInvite> & { label?: string } = {}): NewInvite {
  const { label = role, ...rest } = changes;
  const id = idOf(`invite ${label}`) as unknown as InviteId;
  return { id, secretHash: hashText(`invite ${label}`), name: null, role, expiresAt: null, uses: 1, ...rest };
}

const joinOf = (label: string, name: string) => ({
  inviteHash: hashText(`invite ${label}`),
  member: idOf(`member ${name}`) as unknown as MemberId,
  name,
  key: idOf(`key ${name}`) as unknown as KeyId,
  secretHash: hashText(`secret ${name}`),
});

function got<T>(answer: Answer<T>): T {
  if (!answer.ok) throw new Error(JSON.stringify(answer.refusal));
  return answer.value;
}
const refusalOf = (answer: Answer<unknown>) => (answer.ok ? null : answer.refusal.code);

/** Brings a member in by an invite of the account's owner. */
async function add(bank: Bank, role: Role, name: string = role) {
  got(await bank.rpc.invite(bank.credentials, inviteOf(role, { label: name })));
  const command = joinOf(name, name);
  got(await bank.rpc.join(command));
  return { id: command.member, key: command.key, credentials: { secretHash: command.secretHash } };
}

it("gives the first key to the owner, and a joined member what its role allows", async () => {
  const bank = await openOwn();
  const member = await add(bank, "developer");
  await evictDurableObject(bank.stub);
  expect(got(await bank.rpc.team(member.credentials)).map(({ id, role, keys }) => [id, role, keys])).toEqual([
    [ownerOf(bank), "owner", 1],
    [member.id, "developer", 1],
  ]);
  const keys = got(await bank.rpc.keys(bank.credentials));
  expect(keys.map((key) => [key.member, key.scopes])).toEqual([
    [ownerOf(bank), ROLE_SCOPES.owner],
    [member.id, ROLE_SCOPES.developer],
  ]);
});

it("joins once, however often the same call comes, and for one use one of two at once", async () => {
  const bank = await openOwn();
  got(await bank.rpc.invite(bank.credentials, inviteOf("viewer")));
  const [a, b] = [joinOf("viewer", "a"), joinOf("viewer", "b")];
  const both = await Promise.all([bank.rpc.join(a), bank.rpc.join(b)]);
  expect(both.map(refusalOf)).toEqual([null, "invite_used"]);
  await evictDurableObject(bank.stub);
  expect(got(await bank.rpc.join(a))).toMatchObject({ joined: false, keyStands: true });
  expect(refusalOf(await bank.rpc.join({ ...a, name: "other" }))).toBe("id_conflict");
  await bank.rpc.revokeKey(bank.credentials, a.key);
  expect(got(await bank.rpc.join(a))).toMatchObject({ joined: false, keyStands: false });
  expect(await inside(bank, (state) => [count(state, "members"), count(state, "keys")])).toEqual([2, 2]);
});

it("refuses invites that are unknown, revoked or over", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openOwn();
  expect(refusalOf(await bank.rpc.join(joinOf("nothing", "a")))).toBe("invalid_invite");
  const gone = inviteOf("viewer", { label: "gone" });
  got(await bank.rpc.invite(bank.credentials, gone));
  const first = got(await bank.rpc.revokeInvite(bank.credentials, gone.id));
  expect(got(await bank.rpc.revokeInvite(bank.credentials, gone.id))).toEqual(first);
  expect(refusalOf(await bank.rpc.join(joinOf("gone", "a")))).toBe("invalid_invite");
  const short = inviteOf("viewer", { label: "short", expiresAt: Date.now() + DAY_MS });
  const made = got(await bank.rpc.invite(bank.credentials, short));
  expect(got(await bank.rpc.invite(bank.credentials, short))).toEqual(made);
  expect(refusalOf(await bank.rpc.invite(bank.credentials, { ...short, role: "owner" }))).toBe("id_conflict");
  const late = inviteOf("viewer", { label: "late", expiresAt: Date.now() + 31 * DAY_MS });
  expect(refusalOf(await bank.rpc.invite(bank.credentials, late))).toBe("invalid_request");
  vi.setSystemTime(Date.now() + DAY_MS);
  expect(refusalOf(await bank.rpc.join(joinOf("short", "a")))).toBe("invite_expired");
});

it("ends the invites of a maker that is no owner any more", async () => {
  const bank = await openOwn();
  const maker = await add(bank, "owner", "maker");
  got(await bank.rpc.invite(maker.credentials, inviteOf("owner", { label: "late" })));
  got(await bank.rpc.changeMember(bank.credentials, maker.id, { role: "developer" }));
  await evictDurableObject(bank.stub);
  expect(refusalOf(await bank.rpc.join(joinOf("late", "late")))).toBe("invalid_invite");
  expect(refusalOf(await bank.rpc.invite(maker.credentials, inviteOf("viewer", { label: "x" })))).toBe("role_forbids");
  got(await bank.rpc.changeMember(bank.credentials, maker.id, { role: "owner" }));
  expect(refusalOf(await bank.rpc.join(joinOf("late", "late")))).toBe("invalid_invite");
});

it("takes from a demoted member's keys at once what the role does not allow, and sends watchers away", async () => {
  const bank = await openOwn();
  const member = await add(bank, "developer");
  const job = { id: idOf("narrow") as unknown as KeyId, name: "narrow", secretHash: hashText("narrow") };
  got(await bank.rpc.createKey(member.credentials, { ...job, scopes: ["inference"] }));
  expect(codeOf(await bank.rpc.hold(holdOf(bank, { credentials: member.credentials })))).toBe("held");
  got(await bank.rpc.changeMember(bank.credentials, member.id, { role: "billing" }));
  for (const evict of [false, true]) {
    if (evict) await evictDurableObject(bank.stub);
    expect(codeOf(await bank.rpc.hold(holdOf(bank, { credentials: member.credentials })))).toBe("forbidden");
    // All that it could do is gone, so it is too.
    expect(codeOf(await bank.rpc.hold(holdOf(bank, { credentials: job })))).toBe("invalid_api_key");
    expect((await bank.rpc.balance(member.credentials)).ok).toBe(true);
  }
  const watcher = await watch(bank, member.credentials);
  got(await bank.rpc.removeMember(bank.credentials, member.id));
  expect(await watcher.closed).toEqual({ code: 1008, reason: "invalid_api_key" });
});

it("ends and charges a job of a member that was removed meanwhile, and begins no other", async () => {
  const bank = await openOwn();
  const member = await add(bank, "developer");
  const before = await balance(bank);
  const { job } = await hold(bank, { credentials: member.credentials });
  const first = got(await bank.rpc.removeMember(bank.credentials, member.id));
  expect(got(await bank.rpc.removeMember(bank.credentials, member.id))).toEqual(first);
  expect(first).toMatchObject({ keys: 0, held: JOB_PRICE });
  await evictDurableObject(bank.stub);
  expect(codeOf(await bank.rpc.hold(holdOf(bank, { credentials: member.credentials })))).toBe("invalid_api_key");
  await post(bank, job);
  expect(await balance(bank)).toEqual({ available: before.available - JOB_PRICE, held: 0 });
  const used = got(await bank.rpc.usage(bank.credentials, { by: "member", from: 0, to: null, cursor: null }));
  expect(used.groups).toMatchObject([[member.id, { jobs: 1, nanoUsd: JOB_PRICE }]]);
  expect(used.names).toEqual([[member.id, "developer"]]);
  expect(got(await bank.rpc.team(bank.credentials))[1]).toMatchObject({ spent: JOB_PRICE, held: 0 });
});

it("keeps the last owner, lets others leave, and lets a narrow key do neither", async () => {
  const bank = await openOwn();
  const viewer = await add(bank, "viewer");
  const developer = await add(bank, "developer");
  expect(refusalOf(await bank.rpc.removeMember(bank.credentials, ownerOf(bank)))).toBe("last_owner");
  expect(refusalOf(await bank.rpc.changeMember(bank.credentials, ownerOf(bank), { role: "viewer" }))).toBe(
    "last_owner",
  );
  const narrow = {
    id: idOf("n") as unknown as KeyId,
    name: "n",
    secretHash: hashText("n"),
    scopes: ["manage"] as const,
  };
  got(await bank.rpc.createKey(bank.credentials, narrow));
  expect(refusalOf(await bank.rpc.invite(narrow, inviteOf("viewer", { label: "n" })))).toBe("forbidden");
  expect(refusalOf(await bank.rpc.removeMember(narrow, viewer.id))).toBe("forbidden");
  expect(refusalOf(await bank.rpc.changeMember(narrow, viewer.id, { role: "developer" }))).toBe("forbidden");
  expect(refusalOf(await bank.rpc.removeMember(viewer.credentials, developer.id))).toBe("forbidden");
  expect(refusalOf(await bank.rpc.removeMember(developer.credentials, viewer.id))).toBe("role_forbids");
  expect(refusalOf(await bank.rpc.changeMember(developer.credentials, developer.id, { role: "owner" }))).toBe(
    "role_forbids",
  );
  expect(got(await bank.rpc.removeMember(viewer.credentials, viewer.id)).removedAt).not.toBeNull();
});

it("shows and gives a developer its own keys alone, within its role", async () => {
  const bank = await openOwn();
  const { id, credentials } = await add(bank, "developer");
  const key = (name: string) => ({ id: idOf(name) as unknown as KeyId, name, secretHash: hashText(name) });
  expect(got(await bank.rpc.createKey(credentials, key("own"))).member).toBe(id);
  expect(got(await bank.rpc.createKey(bank.credentials, { ...key("given"), member: id })).member).toBe(id);
  expect(
    got(await bank.rpc.keys(credentials))
      .map(({ name }) => name)
      .toSorted(),
  ).toEqual(["developer", "given", "own"]);
  const owners = idOf(`key of ${bank.name}`) as unknown as KeyId;
  expect(refusalOf(await bank.rpc.revokeKey(credentials, owners))).toBe("key_not_found");
  expect(refusalOf(await bank.rpc.updateKey(credentials, owners, { name: "mine" }))).toBe("key_not_found");
  const other = { ...key("other"), member: ownerOf(bank) };
  expect(refusalOf(await bank.rpc.createKey(credentials, other))).toBe("role_forbids");
  const wide = { ...key("wide"), member: id, scopes: ["transfer"] as const };
  expect(refusalOf(await bank.rpc.createKey(bank.credentials, wide))).toBe("role_forbids");
  const given = key("given").id;
  expect(refusalOf(await bank.rpc.updateKey(bank.credentials, given, { scopes: ["supply"] }))).toBe("role_forbids");
});
