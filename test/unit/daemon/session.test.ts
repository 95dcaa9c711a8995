import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { ClaimStore } from "../../../daemon/claims/store.ts";
import { Connection } from "../../../daemon/session/connection.ts";
import type { Done } from "../../../protocol/daemon/messages.ts";
import { bench, collectingLog, newIdentity, tempFolder } from "./bench.ts";
import { answer, ScriptedEngine, stuckAfter } from "./scripted-engine.ts";
import { claimHolds, ScriptedRelay, until } from "./scripted-relay.ts";

describe("a session", () => {
  it("says hello with its id, proves its key and offers its models", async () => {
    const relay = await ScriptedRelay.start();
    const identity = newIdentity();
    const { log } = collectingLog();
    const online = Promise.withResolvers<string>();
    const events = {
      online: (welcome: { session: string }) => online.resolve(welcome.session),
      message: () => undefined,
    };
    const connection = new Connection({ id: 1, url: relay.url, identity, log, events, resume: "earlier" });
    const peer = await relay.peer(0);
    expect(peer.daemon).toBe(identity.id);
    expect(peer.socket.protocol).toBe("tollmill.v1");
    expect(await relay.expect(peer, "hello")).toEqual({
      type: "hello",
      version: 1,
      daemon: identity.id,
      resume: "earlier",
    });
    // Messages that do not belong here change nothing.
    relay.send(peer, { type: "cancel", stream: 1 });
    relay.send(peer, {
      type: "welcome",
      session: "x",
      relay: "r",
      parameters: { flush_first_ms: 1, flush_ms: 1, flush_tokens: 1, ping_ms: 9 },
      messages: [],
    });
    expect(connection.isOpen).toBe(false);
    connection.close("done");
    expect(await connection.closed).toMatchObject({ wasOnline: false, final: null });
    await relay.close();
  });

  it("says in one message what it has to say in one turn, where the relay takes packs", async () => {
    const parameters = { pack_bytes: LIMITS.daemonPackBytes };
    const { relay, peer } = await bench({ parameters, engine: new ScriptedEngine(answer("Hel", "lo")), slots: 4 });
    const before = peer.received;
    const jobs = [0, 1, 2, 3].map(() => relay.job(peer));
    for (const job of jobs) {
      const done = await until(() => peer.messages.find((each) => each.type === "done" && each.job === job.job));
      const own = peer.frames.filter(({ stream }) => stream === job.stream);
      expect(claimHolds(done as Done, job, peer.daemon, own)).toBe(true);
    }
    // Four times accept, a frame or two, and done: at least twelve items.
    expect(peer.received - before).toBeLessThan(12);
  });

  it("reads several messages from one text", async () => {
    const { relay, peer, claims } = await bench({ engine: new ScriptedEngine(answer("Hi")), slots: 2 });
    const jobs = [0, 1].map(() => relay.job(peer));
    await until(() => claims.waiting.length === 2);
    const settled = jobs.map(
      ({ job }) => ({ type: "settled", job, receipt: { seq: 1, outcome: "completed" } }) as const,
    );
    relay.send(peer, settled);
    await until(() => claims.waiting.length === 0);
  });

  it("sends a claim again, with its ticket, when the relay asks for it", async () => {
    const { relay, peer } = await bench({ engine: new ScriptedEngine(answer("Hi")) });
    const job = relay.job(peer);
    expect((await relay.expect(peer, "done")).ticket).toBeUndefined();
    relay.send(peer, { type: "resend", job: job.job });
    const again = await relay.expect(peer, "done");
    expect([again.stream, again.ticket]).toEqual([undefined, job.ticket]);
    expect(claimHolds(again, job, peer.daemon, peer.frames)).toBe(true);
  });

  it("offers what the engine has", async () => {
    const { relay, peer, worker } = await bench();
    peer.socket.terminate();
    const again = await relay.peer(1);
    expect((await relay.expect(again, "hello")).resume).toBe("session-0");
    relay.send(again, { type: "challenge", nonce: "n", origin: relay.url, expires: Date.now() + 1_000 });
    await relay.expect(again, "proof");
    const parameters = { flush_first_ms: 50, flush_ms: 100, flush_tokens: 32, ping_ms: 1_000 };
    relay.send(again, {
      type: "welcome",
      session: "s",
      relay: "r",
      parameters,
      messages: [{ level: "info", text: "hi" }],
    });
    expect(await relay.expect(again, "offer")).toMatchObject({
      engine: "scripted engine",
      hardware: { tier: "desktop", watts: 10 },
      usd_per_kwh: 0.12,
      accepts: "any",
      networks: ["home"],
      prices: { margin: 1.4 },
      models: [
        { id: "scripted", quantization: "q8", context: 2_048, slots: 2, loaded: true, features: ["n", "temperature"] },
      ],
    });
    worker.stop();
  });

  it("survives bad messages of the relay", async () => {
    const { relay, peer, lines, engine } = await bench({ engine: new ScriptedEngine(answer("still here")) });
    for (const text of [
      "",
      "{",
      "null",
      "[7]",
      '{"type":7}',
      '{"type":"cancel"}',
      '{"type":"settled","job":"x"}',
      '{"type":"of a later day"}',
    ]) {
      peer.socket.send(text);
    }
    peer.socket.send(Buffer.from([1, 2, 3]));
    relay.send(peer, { type: "error", code: "malformed_frame", message: "The binary frame is malformed." });
    relay.send(peer, { type: "message", level: "warning", text: "An operator says hello." });
    relay.send(peer, { type: "cancel", stream: 4_000 });
    peer.socket.send(JSON.stringify({ type: "job", stream: 9, model: "scripted" }));
    expect(await relay.expect(peer, "decline")).toMatchObject({ stream: 9, reason: "malformed_job" });
    relay.job(peer);
    await relay.expect(peer, "done");
    expect(lines.filter((line) => line.includes("relay_message_ignored")).length).toBe(9);
    expect(lines.join("")).toContain("An operator says hello.");
    expect(lines.join("")).not.toContain("of a later day");
    expect(engine.requests.length).toBe(1);
  });

  it("notices a relay that fell silent, and connects again", async () => {
    const { relay, peer } = await bench({ parameters: { ping_ms: 20 } });
    await until(() => peer.pings > 3);
    relay.answersPings = false;
    await relay.admit(1);
    expect(relay.peers.length).toBe(2);
    relay.answersPings = true;
  });

  it.each(["daemon_not_enrolled", "unknown_version", "weak_public_key", "replaced"])(
    "ends for good at %s",
    async (code) => {
      const { relay, peer, ended } = await bench();
      relay.send(peer, { type: "error", code, message: "No." });
      expect(await ended).toEqual({ type: "refused", code, detail: "No." });
    },
  );

  it("does not sign a challenge of another network", async () => {
    const relay = await ScriptedRelay.start();
    const { log } = collectingLog();
    const events = { online: () => undefined, message: () => undefined };
    // A name that leads here, as a stranger's would; only the own machine is exempt.
    const url = relay.url.replace("127.0.0.1", "0.0.0.0");
    const connection = new Connection({ id: 1, url, identity: newIdentity(), log, events, resume: null });
    const peer = await relay.peer(0);
    await until(() => peer.messages[0]);
    relay.send(peer, { type: "challenge", nonce: "n", origin: "https://another.example", expires: Date.now() + 1_000 });
    expect((await connection.closed).reason).toContain("https://another.example");
    expect(peer.messages.map(({ type }) => type)).toEqual(["hello"]);
    await relay.close();
  });
});

describe("claims", () => {
  it("are sent again after a reconnect, without their stream, until they are settled", async () => {
    const { relay, peer, folder, claims } = await bench();
    const job = relay.job(peer);
    const done = await relay.expect(peer, "done");
    expect(readdirSync(folder).filter((name) => name.endsWith(".json"))).toEqual([`${job.job}-3.json`]);
    const { frames } = peer;
    peer.socket.terminate();
    const again = await relay.admit(1);
    const { stream: _, ...rest } = done;
    const resent = await relay.expect(again, "done");
    expect(resent).toEqual({ ...rest, ticket: job.ticket });
    expect(claimHolds(resent, job, peer.daemon, frames)).toBe(true);
    relay.send(again, { type: "settled", job: job.job, receipt: { seq: 1, outcome: "completed" } });
    await claims.empty();
    expect(readdirSync(folder).filter((name) => name.endsWith(".json"))).toEqual([]);
    again.socket.terminate();
    const third = await relay.admit(2);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(third.messages).toEqual([]);
  });

  it("are dropped when they are refused, which the log says", async () => {
    const { relay, peer, claims, lines } = await bench();
    const job = relay.job(peer);
    await relay.expect(peer, "done");
    relay.send(peer, { type: "refused", job: job.job, reason: "voided" });
    await claims.empty();
    expect(lines.join("")).toContain('"event":"claim_refused"');
  });

  it("survive a restart of the daemon", async () => {
    const folder = tempFolder();
    const identity = newIdentity();
    const before = await bench({ folder, identity });
    const job = before.relay.job(before.peer);
    await before.relay.expect(before.peer, "done");
    before.worker.stop();
    await before.ended;
    const after = await bench({ folder, identity });
    expect((await after.relay.expect(after.peer, "done")).job).toBe(job.job);
  });

  it("of a connection that breaks in the middle are not made", async () => {
    const { relay, peer, engine, claims } = await bench({ engine: new ScriptedEngine(stuckAfter("half an ans")) });
    relay.job(peer);
    await until(() => peer.frames[0]);
    peer.socket.terminate();
    await relay.admit(1);
    await until(() => engine.aborted === 1);
    expect(claims.waiting).toEqual([]);
  });

  it("that cannot be stored end the job as failed, and jobs are declined until there is room", async () => {
    let full = false;
    const disk = {
      write: (): Promise<void> =>
        full
          ? Promise.reject(Object.assign(new Error("no space left on device"), { code: "ENOSPC" }))
          : Promise.resolve(),
    };
    const { relay, peer, lines, claims } = await bench({ disk });
    full = true;
    relay.job(peer);
    expect((await relay.expect(peer, "failed")).code).toBe("claim_not_stored");
    expect(lines.join("")).toContain('"event":"claim_not_stored"');
    expect(lines.join("")).toContain("ENOSPC");
    expect(peer.messages.some(({ type }) => type === "done")).toBe(false);
    relay.job(peer);
    expect((await relay.expect(peer, "decline")).reason).toBe("claims_not_writable");
    expect(claims.waiting).toEqual([]);
    full = false;
    relay.job(peer);
    await relay.expect(peer, "done");
  });
});

describe("draining", () => {
  it("ends running jobs, waits for their settlement and stops", async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const engine = new ScriptedEngine(async function* () {
      yield { type: "text", choice: 0, text: "a", tokens: 1 };
      await gate;
      yield { type: "end", finishReasons: ["stop"], usage: { prompt: 1, completion: 1 } };
    });
    const { relay, peer, worker, ended } = await bench({ engine });
    const job = relay.job(peer);
    await until(() => peer.frames[0]);
    const drained = worker.drain();
    await relay.expect(peer, "drain");
    release();
    await relay.expect(peer, "done");
    relay.send(peer, { type: "settled", job: job.job, receipt: { seq: 1, outcome: "completed" } });
    await drained;
    expect(await ended).toEqual({ type: "stopped" });
  });
});

describe("a claim store", () => {
  it("moves files aside that are no claims", async () => {
    const folder = tempFolder();
    const { writeFileSync } = await import("node:fs");
    writeFileSync(`${folder}/half.json`, '{"type":"done","job"');
    writeFileSync(`${folder}/other.json`, '{"type":"drain"}');
    const { log, lines } = collectingLog();
    const store = await ClaimStore.open(folder, log);
    expect(store.waiting).toEqual([]);
    expect(readdirSync(`${folder}/corrupt`).sort()).toEqual(["half.json", "other.json"]);
    expect(lines.filter((line) => line.includes("claim_corrupt")).length).toBe(2);
  });

  it("says at the start that its folder cannot be written", async () => {
    const { log } = collectingLog();
    const folder = tempFolder();
    const { writeFileSync } = await import("node:fs");
    writeFileSync(`${folder}/file`, "");
    await expect(ClaimStore.open(`${folder}/file/claims`, log)).rejects.toThrow();
  });
});
