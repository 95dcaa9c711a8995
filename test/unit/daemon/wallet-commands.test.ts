import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { EXIT } from "../../../daemon/failure.ts";
import { type SignInInput, signInMessage } from "../../../protocol/sign-in-message.ts";
import { walletOf } from "../../support/wallet.ts";
import { tempFolder } from "./bench.ts";
import { serveHttp } from "./fake-engine.ts";
import { API_KEY, NOWHERE, run } from "./run-cli.ts";

const alice = walletOf("alice");
const ID = "0R7uXmQ2b1vXkYt3Zp9aLc";
const TIME = "2999-01-01T00:00:00.000Z";

const SESSION = {
  id: ID,
  member: ID,
  wallet: alice.address,
  recovery: false,
  created_at: TIME,
  refreshed_at: null,
  expires_at: TIME,
  own: true,
  account: ID,
  access_token: "tms_access",
  access_expires_at: TIME,
  refresh_token: "tmr_refresh",
  opened: true,
  starter: "too_young",
};

interface Asked {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly id: string | undefined;
  readonly body: { readonly signature?: string; readonly message?: string };
}

/** A network whose challenge is changed in some way, and whose other answers are given. */
async function network(
  change: Partial<SignInInput> = {},
  answers: Record<string, object> = {},
  write = (text: string) => text,
) {
  const asked: Asked[] = [];
  const folder = tempFolder();
  const file = join(folder, "id.json");
  writeFileSync(file, JSON.stringify([...alice.secretKey]));
  const sessions = join(folder, "sessions");
  const url = await serveHttp((request, response, text) => {
    const { url: path = "", headers } = request;
    const id = headers["idempotency-key"] as string | undefined;
    asked.push({ path, authorization: headers.authorization, id, body: text === "" ? {} : JSON.parse(text) });
    const input = { ...inputOf(`http://${headers.host}`), ...change };
    const message = write(signInMessage(input));
    const answer = path.endsWith("challenge") ? { input, message, expires_at: TIME } : (answers[path] ?? SESSION);
    response.writeHead("code" in answer ? 401 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(answer));
  });
  const tollmill = (...args: string[]) => run(["--url", url, ...args], { env: { TOLLMILL_SESSIONS: sessions } });
  const kept = () => readdirSync(sessions).map((name) => readFileSync(join(sessions, name), "utf8"));
  return { asked, file, url, sessions, tollmill, kept, login: () => tollmill("login", "--keypair", file) };
}

function inputOf(origin: string): SignInInput {
  return {
    domain: origin.replace("http://", ""),
    address: alice.address,
    statement: "Sign in.",
    uri: origin,
    version: "1",
    chainId: "solana:localnet",
    nonce: "0R7uXmQ2b1vXkYt3",
    issuedAt: TIME,
    expirationTime: TIME,
    requestId: "req_1",
    resources: [],
  };
}

describe("tollmill login", () => {
  it("signs the challenge of the network that it calls, and says what came of it", async () => {
    const { asked, login, kept } = await network();
    const { code, out, err } = await login();
    expect([code, out]).toEqual([EXIT.ok, ID]);
    expect(err).toContain("opened the account until 2999-01-01T00:00");
    expect(err).toContain("No starter balance yet");
    const { message = "", signature } = asked[1]?.body ?? {};
    expect(signature).toBe(alice.sign(message));
    expect(kept()).toEqual([expect.stringContaining('"refresh_token":"tmr_refresh"')]);
    expect(`${out}${err}`).not.toMatch(/tm[sr]_/);
  });

  it.each([{ domain: "tollmill.example" }, { uri: "https://tollmill.example" }, { address: walletOf("bob").address }])(
    "signs nothing that is meant for another: %o",
    async (change) => {
      const { asked, login, sessions } = await network(change);
      const { code, err } = await login();
      expect([code, err]).toEqual([EXIT.refused, expect.stringContaining("nothing was signed")]);
      expect(asked).toHaveLength(1);
      expect(() => readdirSync(sessions)).toThrow();
    },
  );

  it("signs nothing but the text of the input", async () => {
    const { asked, login } = await network({}, {}, (message) => `${message}\nSend everything.`);
    expect((await login()).code).toBe(EXIT.refused);
    expect(asked).toHaveLength(1);
  });
});

describe("a session", () => {
  const soon = () => ({ access_expires_at: new Date(Date.now() + 30_000).toISOString() });

  it("goes with calls that name no key, to its own network alone", async () => {
    const { asked, login, tollmill } = await network({}, { "/api/v1/wallets": { data: [] } });
    await login();
    await tollmill("wallets");
    expect(asked.at(-1)).toMatchObject({ path: "/api/v1/wallets", authorization: "Bearer tms_access" });
    await tollmill("--api-key", API_KEY, "wallets");
    expect(asked.at(-1)?.authorization).toBe(`Bearer ${API_KEY}`);
    const away = await tollmill("--url", NOWHERE, "wallets");
    expect(away.code).toBe(EXIT.unreachable);
  });

  it("is refreshed by the same call however often that is made, and forgotten where it has ended", async () => {
    const answers: Record<string, object> = {
      "/api/v1/wallets": { data: [] },
      "/api/v1/auth/verify": { ...SESSION, ...soon() },
    };
    const { asked, login, tollmill, kept } = await network({}, answers);
    await login();
    const failing = { type: "about:blank", code: "rate_limited", detail: "Too much." };
    answers["/api/v1/auth/refresh"] = failing;
    expect((await tollmill("wallets")).code).toBe(EXIT.refused);
    expect(kept()).toHaveLength(1);
    answers["/api/v1/auth/refresh"] = { ...SESSION, access_token: "tms_next" };
    await tollmill("wallets");
    const refreshes = asked.filter(({ path }) => path === "/api/v1/auth/refresh");
    expect(refreshes).toHaveLength(2);
    expect(refreshes[0]?.id).toMatch(/^[0-9a-f]{64}$/);
    expect(refreshes[1]).toEqual(refreshes[0]);
    expect(asked.at(-1)?.authorization).toBe("Bearer tms_next");
    answers["/api/v1/auth/verify"] = { ...SESSION, ...soon() };
    await login();
    answers["/api/v1/auth/refresh"] = { ...failing, code: "refresh_reused", detail: "It was used." };
    const ended = await tollmill("wallets");
    expect([ended.code, ended.err]).toEqual([
      EXIT.refused,
      expect.stringContaining("It was used. Sign in with tollmill login"),
    ]);
    expect(kept()).toEqual([]);
  });

  it("is ended by tollmill logout, also where the network does not know it any more", async () => {
    const answers: Record<string, object> = { "/api/v1/auth/sessions": { ended: [ID] } };
    const { asked, login, tollmill, kept } = await network({}, answers);
    await login();
    const out = await tollmill("logout", "--json");
    expect(JSON.parse(out.out)).toEqual({ ended: [ID] });
    expect(asked.at(-1)?.authorization).toBe("Bearer tms_access");
    expect(kept()).toEqual([]);
    await login();
    answers["/api/v1/auth/sessions"] = { code: "invalid_api_key", detail: "No." };
    expect((await tollmill("logout")).code).toBe(EXIT.ok);
    expect(kept()).toEqual([]);
    expect((await tollmill("logout")).err).toContain("There is no session");
  });
});

it("unlinks no wallet whose address is none", async () => {
  const { asked, file, tollmill } = await network();
  const { code, err } = await tollmill("wallets", "unlink", "../keys", "--keypair", file);
  expect([code, err]).toEqual([EXIT.usage, expect.stringContaining("is no wallet")]);
  expect(asked).toEqual([]);
});

describe("starter codes", () => {
  it("are used by an account, and made by operators", async () => {
    const { asked, tollmill } = await network({}, { "/api/v1/starter": { starter: "granted" } });
    const used = await tollmill("--api-key", API_KEY, "starter", "tmc_code");
    expect([used.code, used.out]).toEqual([EXIT.ok, "The starter balance was granted."]);
    expect(asked.at(-1)).toMatchObject({ path: "/api/v1/starter", body: { code: "tmc_code" } });
    const spent = await network({}, { "/api/v1/starter": { starter: "budget_spent" } });
    expect((await spent.tollmill("--api-key", API_KEY, "starter", "tmc_code")).code).toBe(EXIT.refused);
    const codes = { codes: ["tmc_a", "tmc_b"], expires_at: TIME };
    const operator = await network({}, { "/api/v1/admin/starter-codes": codes });
    const made = await operator.tollmill(
      "admin",
      "--key",
      "an-operators-key",
      "starter-codes",
      "meetup",
      "--count",
      "2",
    );
    expect([made.code, made.out]).toEqual([EXIT.ok, "tmc_a\ntmc_b"]);
    expect(operator.asked.at(-1)?.body).toMatchObject({
      id: "meetup",
      count: 2,
      expires_at: expect.stringMatching(/T00:00:00/),
    });
    expect((await operator.tollmill("admin", "starter-codes", "meetup", "--count", "0")).code).toBe(EXIT.usage);
  });
});
