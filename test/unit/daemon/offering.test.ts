import { describe, expect, it } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { EngineError, type EngineModel } from "../../../daemon/engines/engine.ts";
import { chooseModels } from "../../../daemon/engines/served-models.ts";
import { Offering } from "../../../daemon/offering.ts";
import type { DaemonMessage } from "../../../protocol/daemon/messages.ts";
import { daemonMessage } from "../../../protocol/daemon/messages.ts";
import { bench, collectingLog } from "./bench.ts";
import { answer, ScriptedEngine } from "./scripted-engine.ts";

const model = (name: string, loaded = true): EngineModel => ({
  name,
  context: null,
  quantization: null,
  loaded,
  features: [],
});

/** An engine whose list can fail, be slow, or change. */
class MoodyEngine extends ScriptedEngine {
  lists = 0;
  mood: () => Promise<readonly EngineModel[]> = () => Promise.resolve(this.list);

  override models(): Promise<readonly EngineModel[]> {
    this.lists += 1;
    return this.mood();
  }
}

async function offering(engine = new MoodyEngine(answer("a", "b")), serve = new Map<string, string>()) {
  const { log, lines } = collectingLog();
  const offers: DaemonMessage[] = [];
  const conditions = { isOpen: true, offered: { schedule: null, on_ac_power: null } };
  const channel = {
    id: 1,
    isOpen: true,
    send: (message: DaemonMessage) => offers.push(daemonMessage.parse(message)) > 0,
    sendFrame: () => undefined,
    writable: () => Promise.resolve(),
  };
  const made = new Offering({
    engine,
    log,
    now: Date.now,
    serve: { serve, slots: 2, context: null, quantization: null, features: [] },
    terms: { hardware: { tier: "desktop", gpu: null, vram_mb: null, watts: 10 }, usd_per_kwh: 0.1, accepts: "any" },
    conditions,
  });
  await made.prepare();
  made.begin(channel);
  /** What a check sends: the names of the models of each offer. */
  const check = async (): Promise<string[][]> => {
    offers.length = 0;
    await made.check(() => channel);
    return offers.map((offer) => (offer.type === "offer" ? offer.models.map(({ id }) => id) : []));
  };
  const first = offers.map((offer) => (offer.type === "offer" ? offer.models.map(({ id }) => id) : []));
  return { engine, offering: made, check, lines, first };
}

const silent = () => Promise.reject(new EngineError("engine_unreachable", "It does not list its models."));

describe("an offer", () => {
  it("is sent when the models change, and not again while they stay", async () => {
    const { engine, check, first } = await offering();
    expect(first).toEqual([["scripted"]]);
    expect(await check()).toEqual([]);
    engine.list = [...engine.list, model("another")];
    expect(await check()).toEqual([["scripted", "another"]]);
    expect(await check()).toEqual([]);
  });

  it("outlasts an engine that does not list its models for a while", async () => {
    const { engine, check, offering: made, lines } = await offering();
    engine.mood = silent;
    expect([await check(), await check()]).toEqual([[], []]);
    expect(made.models.get("scripted")?.available).toBe(true);
    engine.mood = () => Promise.resolve(engine.list);
    expect(await check()).toEqual([]);
    // Misses count only in a row.
    engine.mood = silent;
    expect([await check(), await check()]).toEqual([[], []]);
    expect(lines.join("")).not.toContain("engine_lost");
    expect(await check()).toEqual([[]]);
    expect(lines.join("")).toContain("engine_lost");
    engine.mood = () => Promise.resolve(engine.list);
    expect(await check()).toEqual([["scripted"]]);
    expect(lines.join("")).toContain("engine_back");
  });

  it("is withdrawn at once when the engine no longer has what --serve names", async () => {
    const { engine, check } = await offering(undefined, new Map([["scripted", "an-id"]]));
    engine.list = [model("another")];
    expect(await check()).toEqual([[]]);
  });

  it("does not ask an engine again that still thinks about its list", async () => {
    const { engine, check } = await offering();
    const list = Promise.withResolvers<readonly EngineModel[]>();
    engine.mood = () => list.promise;
    engine.lists = 0;
    const slow = check();
    await Promise.all([check(), check()]);
    expect(engine.lists).toBe(1);
    list.resolve(engine.list);
    await slow;
    await check();
    expect(engine.lists).toBe(2);
  });

  it("that the network had trouble with is made again at the next check, and later when the trouble stays", async () => {
    const { check, offering: made } = await offering();
    const checksUntilOffered = async (): Promise<number> => {
      made.networkTrouble();
      made.networkTrouble();
      for (let checks = 1; checks < 100; checks++) if ((await check()).length > 0) return checks;
      return 0;
    };
    const waited: number[] = [];
    for (let i = 0; i < 7; i++) waited.push(await checksUntilOffered());
    expect(waited).toEqual([1, 2, 4, 8, 16, 32, 32]);
    // One that has stood since the check before ends the trouble.
    expect(await check()).toEqual([]);
    expect(await checksUntilOffered()).toBe(1);
  });

  it("is made again on the wire after an internal error, and after no other one", async () => {
    const { relay, peer } = await bench({ pace: { checkMs: 15, overdueMs: 60_000, lookMs: 10_000 } });
    relay.send(peer, { type: "error", code: "invalid_message", message: "Something else." });
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(peer.messages).toEqual([]);
    relay.send(peer, { type: "error", code: "internal_error", message: "Something broke." });
    expect((await relay.expect(peer, "offer")).models.length).toBe(1);
    expect(relay.peers.length).toBe(1);
  });
});

describe("of more models than an offer may have", () => {
  const many = [
    ...Array.from({ length: 40 }, (_, index) => model(`cold-${index}`, false)),
    model("warm-1"),
    model("warm-2"),
  ];

  it("the loaded ones come first, and the rest is counted", () => {
    const { chosen, leftOut } = chooseModels(many, new Map());
    expect([...chosen.keys()].slice(0, 3)).toEqual(["warm-1", "warm-2", "cold-0"]);
    expect([chosen.size, leftOut]).toEqual([LIMITS.daemonModels, 10]);
    expect(chooseModels(many.slice(0, 32), new Map()).leftOut).toBe(0);
  });

  it("two that come to one id are one: the loaded one", () => {
    const { chosen, leftOut } = chooseModels([model("a:b", false), model("a-b")], new Map());
    expect([...chosen.values()].map(({ name }) => name)).toEqual(["a-b"]);
    expect(leftOut).toBe(0);
  });

  it("the relay gets an offer that it can take, and the log says what to do, once", async () => {
    const engine = new MoodyEngine(answer("a", "b"));
    engine.list = many;
    const { first, check, lines } = await offering(engine);
    expect(first[0]?.length).toBe(LIMITS.daemonModels);
    await check();
    const said = lines.filter((line) => line.includes("models_left_out"));
    expect(said.length).toBe(1);
    expect(JSON.parse(said[0] ?? "")).toMatchObject({
      level: "warning",
      left_out: 10,
      hint: expect.stringContaining("--serve") as unknown,
    });
  });
});
