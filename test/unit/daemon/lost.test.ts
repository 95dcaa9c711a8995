import { afterEach, describe, expect, it, vi } from "vitest";
import { ClaimDelivery } from "../../../daemon/claims/delivery.ts";
import { ClaimStore } from "../../../daemon/claims/store.ts";
import { LostJobs } from "../../../daemon/jobs/lost-jobs.ts";
import type { DaemonMessage, Done, Job } from "../../../protocol/daemon/messages.ts";
import { bench, collectingLog, tempFolder } from "./bench.ts";
import { answer, ScriptedEngine, stuckAfter } from "./scripted-engine.ts";
import { type Peer, randomJobId, until } from "./scripted-relay.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const failures = (peer: Peer) => peer.messages.filter(({ type }) => type === "failed");

/** A connection that keeps what it is given. */
function fakeChannel() {
  const sent: DaemonMessage[] = [];
  const channel = {
    id: 1,
    isOpen: true,
    send: (message: DaemonMessage) => {
      if (channel.isOpen) sent.push(message);
      return channel.isOpen;
    },
    sendFrame: () => undefined,
    writable: () => Promise.resolve(),
  };
  return { channel, sent };
}

describe("a job whose connection is lost", () => {
  const expected = (job: Job) => ({
    type: "failed",
    job: job.job,
    ticket: job.ticket,
    code: "connection_lost",
    message: expect.any(String) as unknown,
  });

  it("is told of once after the next welcome, and a job that has been claimed is not", async () => {
    const { relay, peer } = await bench({ engine: new ScriptedEngine(stuckAfter("half an ans")), slots: 3 });
    const jobs = [1, 2].map((number) => relay.job(peer, {}, { ticket: `ticket-${number}` }));
    const claimed = relay.job(peer);
    await until(() => peer.frames.length === 3);
    relay.send(peer, { type: "cancel", stream: claimed.stream });
    await relay.expect(peer, "done");
    peer.socket.terminate();
    const again = await relay.admit(1);
    expect((await relay.expect(again, "done")).job).toBe(claimed.job);
    await until(() => failures(again).length === 2);
    expect(failures(again)).toEqual(jobs.map(expected));
    again.socket.terminate();
    const third = await relay.admit(2);
    await relay.expect(third, "done");
    await pause(20);
    expect(failures(third)).toEqual([]);
  });

  it("is told of before a draining daemon ends", async () => {
    const { relay, peer, worker, ended } = await bench({ engine: new ScriptedEngine(stuckAfter("half")) });
    const job = relay.job(peer);
    await until(() => peer.frames[0]);
    const drained = worker.drain();
    await relay.expect(peer, "drain");
    peer.socket.terminate();
    const again = await relay.admit(1);
    expect(await relay.expect(again, "failed")).toEqual(expected(job));
    await drained;
    expect(await ended).toEqual({ type: "stopped" });
  });

  it("is told of at once when its claim turns out not to be storable after the daemon is back", async () => {
    const disk = Promise.withResolvers<void>();
    const stuck = { write: (path: string) => (path.endsWith(".json") ? disk.promise : Promise.resolve()) };
    const { relay, peer, lines } = await bench({ disk: stuck });
    const job = relay.job(peer);
    await until(() => peer.frames[0]);
    peer.socket.terminate();
    const again = await relay.admit(1);
    expect(failures(again)).toEqual([]);
    disk.reject(Object.assign(new Error("no space left on device"), { code: "ENOSPC" }));
    expect(await relay.expect(again, "failed")).toEqual(expected(job));
    expect(lines.join("")).toContain('"event":"claim_not_stored"');
  });

  it("is forgotten for newer ones when there are very many", () => {
    const { channel, sent } = fakeChannel();
    let up = false;
    const lost = new LostJobs(() => (up ? channel : null));
    const ids = Array.from({ length: 1_030 }, () => randomJobId());
    for (const job of ids) lost.add({ job, ticket: "t" } as Job);
    up = true;
    channel.isOpen = false;
    lost.tell();
    expect(sent).toEqual([]);
    channel.isOpen = true;
    lost.tell();
    lost.tell();
    expect(sent.map((message) => (message.type === "failed" ? message.job : null))).toEqual(ids.slice(-1_024));
  });
});

describe("a claim that nobody answers", () => {
  it("is sent again every minute, counted from when it was last sent", async () => {
    const { log } = collectingLog();
    const claims = await ClaimStore.open(tempFolder(), log);
    const claim = { type: "done", job: randomJobId(), fence: 1 } as Done;
    await claims.put(claim);
    let now = 1_000_000;
    const { channel, sent } = fakeChannel();
    const delivery = new ClaimDelivery(claims, () => now);
    delivery.send(claim, channel, 7);
    const after = (ms: number) => {
      now += ms;
      delivery.sendOverdue(channel, 60_000);
      return sent.splice(0);
    };
    expect(sent.splice(0)).toEqual([{ ...claim, stream: 7 }]);
    expect(after(59_999)).toEqual([]);
    expect(after(1)).toEqual([claim]);
    expect(after(59_999)).toEqual([]);
    expect(after(1)).toEqual([claim]);
    channel.isOpen = false;
    expect(after(60_000)).toEqual([]);
    channel.isOpen = true;
    expect(after(0)).toEqual([claim]);
    await claims.remove(claim.job);
    expect(after(60_000)).toEqual([]);
  });

  it("is sent again on the connection that lives, without its stream, until it is settled", async () => {
    const pace = { checkMs: 60_000, overdueMs: 40, lookMs: 10_000 };
    const { relay, peer, claims } = await bench({ engine: new ScriptedEngine(answer("Hi!")), pace });
    const job = relay.job(peer);
    const { stream, ...rest } = await relay.expect(peer, "done");
    expect(stream).toBe(job.stream);
    const again = { ...rest, ticket: job.ticket };
    expect(await relay.expect(peer, "done")).toEqual(again);
    expect(await relay.expect(peer, "done")).toEqual(again);
    expect(relay.peers.length).toBe(1);
    relay.send(peer, { type: "settled", job: job.job, receipt: null });
    await claims.empty();
    peer.messages.length = 0;
    await pause(120);
    expect(peer.messages).toEqual([]);
  });
});

describe("a relay that lets the daemon in and then fails", () => {
  afterEach(() => vi.restoreAllMocks());

  it("is called after pauses that grow, until a connection has lasted", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.999);
    let skipped = 0;
    const now = () => Date.now() + skipped;
    const { relay } = await bench({ now, backoff: { firstMs: 20, mostMs: 10_000 } });
    const gap = async (index: number): Promise<number> => {
      const peer = relay.peers[index];
      const started = performance.now();
      peer?.socket.close(1011, "internal_error");
      await relay.admit(index + 1);
      return performance.now() - started;
    };
    const gaps: number[] = [];
    for (let index = 0; index < 5; index++) gaps.push(await gap(index));
    expect(gaps[4]).toBeGreaterThan(300);
    skipped = 120_000;
    expect(await gap(5)).toBeLessThan(300);
  });
});
