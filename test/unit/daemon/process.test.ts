/** The real process: enrolment, signals, its files and its exit codes. */

import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { EXIT } from "../../../daemon/failure.ts";
import { tempFolder } from "./bench.ts";
import { chunk, openAiList, serveHttp, sse } from "./fake-engine.ts";
import { type Route, ScriptedRelay, until } from "./scripted-relay.ts";

const bin = fileURLToPath(new URL("../../../daemon/bin/tollmill.mjs", import.meta.url));
const API_KEY = `tm_${"B".repeat(71)}`;

interface Started {
  readonly child: ChildProcess;
  readonly exit: Promise<number | null>;
  readonly stderr: () => string;
}

function start(args: readonly string[]): Started {
  const child = spawn(process.execPath, [bin, ...args], { stdio: ["ignore", "pipe", "pipe"], cwd: tempFolder() });
  let stderr = "";
  child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
  const exit = new Promise<number | null>((resolve) => child.on("exit", (code) => resolve(code)));
  onTestFinished(() => void child.kill("SIGKILL"));
  return { child, exit, stderr: () => stderr };
}

/** An engine whose answers go on until it is told to end them. */
async function slowEngine() {
  const open: (() => void)[] = [];
  let jobs = false;
  const url = await serveHttp((request, response) => {
    if (request.url === "/v1/models") {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(openAiList("me", "slow")));
      return;
    }
    if (request.url !== "/v1/chat/completions") {
      response.writeHead(404).end();
      return;
    }
    const end = sse(
      chunk({}, {}, { finish_reason: "stop" }),
      { choices: [], usage: { prompt_tokens: 4, completion_tokens: 2 } },
      "[DONE]",
    );
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(sse(chunk({ content: "a" }), chunk({ content: "b" })));
    if (jobs) open.push(() => response.end(end));
    else response.end(end);
  });
  return { url, hold: () => (jobs = true), finish: () => open.splice(0).forEach((end) => end()) };
}

const enrolments: { body: unknown; headers: Record<string, unknown> }[] = [];
const enrolRoute: Route = (request, body, response) => {
  if (request.method !== "POST" || request.url !== "/api/v1/daemons") {
    response.writeHead(404).end();
    return;
  }
  enrolments.push({ body: JSON.parse(body), headers: request.headers });
  response.writeHead(201, { "content-type": "application/json" }).end("{}");
};

describe("the daemon's process", () => {
  it("makes its key, enrols it, serves, drains at the first signal and exits with 0", async () => {
    enrolments.length = 0;
    const relay = await ScriptedRelay.start({}, enrolRoute);
    onTestFinished(() => relay.close());
    const engine = await slowEngine();
    const home = tempFolder();
    const flags = ["--url", relay.url, "--api-key", API_KEY, "--home", home, "--engine", engine.url, "--name", "attic"];
    const { child, exit, stderr } = start(["daemon", ...flags, "--payout", "usdc"]);
    const peer = await relay.admit(0);
    expect(statSync(`${home}/daemon.pem`).mode & 0o777).toBe(0o600);
    expect(enrolments).toEqual([
      {
        body: { public_key: peer.daemon, name: "attic", payout: "usdc", tier: "desktop" },
        headers: expect.objectContaining({
          authorization: `Bearer ${API_KEY}`,
          "idempotency-key": expect.stringMatching(/^enrol-[0-9a-f]{32}$/) as unknown,
        }) as unknown,
      },
    ]);
    engine.hold();
    const job = relay.job(peer, { messages: [{ role: "user", content: "a secret prompt" }] }, { model: "slow" });
    await until(() => peer.frames[0]);
    child.kill("SIGTERM");
    await relay.expect(peer, "drain");
    relay.job(peer, {}, { model: "slow" });
    expect((await relay.expect(peer, "decline")).reason).toBe("draining");
    engine.finish();
    const done = await relay.expect(peer, "done");
    expect(done.usage).toEqual({ prompt: 4, completion: 2 });
    expect(readdirSync(`${home}/claims`).filter((name) => name.endsWith(".json"))).toEqual([`${job.job}-3.json`]);
    relay.send(peer, { type: "settled", job: job.job, receipt: { seq: 2, outcome: "completed" } });
    expect(await exit).toBe(EXIT.ok);
    expect(readdirSync(`${home}/claims`).filter((name) => name.endsWith(".json"))).toEqual([]);
    // Not a terminal, so the log is NDJSON; it has neither the key nor what was asked.
    const events = stderr()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { event: string });
    expect(events.map(({ event }) => event)).toEqual(
      expect.arrayContaining(["key_made", "enrolled", "job_done", "claim_settled", "ended"]),
    );
    expect(stderr()).not.toContain("secret");
    expect(stderr()).not.toContain(API_KEY);
    expect(readFileSync(`${home}/daemon.pem`, "utf8")).toContain("PRIVATE KEY");
  });

  it("stops at the second signal and exits with 130", async () => {
    const relay = await ScriptedRelay.start();
    onTestFinished(() => relay.close());
    const engine = await slowEngine();
    const { child, exit } = start(["daemon", "--url", relay.url, "--home", tempFolder(), "--engine", engine.url]);
    const peer = await relay.admit(0);
    engine.hold();
    relay.job(peer, {}, { model: "slow" });
    await until(() => peer.frames[0]);
    child.kill("SIGINT");
    await relay.expect(peer, "drain");
    child.kill("SIGINT");
    expect(await exit).toBe(EXIT.interrupted);
    expect(peer.messages.filter(({ type }) => type === "done")).toEqual([]);
  });

  it("ends with a message when it is not enrolled", async () => {
    const relay = await ScriptedRelay.start();
    onTestFinished(() => relay.close());
    const engine = await slowEngine();
    const { exit, stderr } = start(["daemon", "--url", relay.url, "--home", tempFolder(), "--engine", engine.url]);
    const peer = await relay.peer(0);
    relay.send(peer, { type: "error", code: "daemon_not_enrolled", message: "This daemon's key is not enrolled." });
    expect(await exit).toBe(EXIT.refused);
    expect(stderr()).toContain("The network refuses this daemon (daemon_not_enrolled)");
    expect(stderr()).toContain("--api-key");
  });
});
