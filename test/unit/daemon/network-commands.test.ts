import { describe, expect, it } from "vitest";
import { EXIT } from "../../../daemon/failure.ts";
import { networkEntry, rateEntry } from "../../../daemon/flags.ts";
import { serveHttp } from "./fake-engine.ts";
import { API_KEY, run } from "./run-cli.ts";

const ID = "0R7uXmQ2b1vXkYt3Zp9aLc";
const MEMBER = "3nVq0c1tYk8sW2bLr5HdEf";
const TOKEN = `tmn_${ID}${"0".repeat(49)}`;
const AT = "2026-11-22T12:00:00.000Z";
const RATES = { "maker/eight": { prompt: "0.000010000", completion: "0.000040000" } };
const LAB = { id: ID, name: "Lab", admin: true, rates: RATES, created_at: AT, closed_at: null };
const MEMBERS = [
  { id: ID, name: null, admin: true, you: true, joined_at: AT },
  { id: MEMBER, name: "Ada", admin: false, you: false, joined_at: AT },
];
const INVITE = { id: MEMBER, name: "Ada", created_at: AT, expires_at: AT, uses: 2, used: 0, revoked_at: null };

/** A network that answers by path, and keeps what it was asked. */
async function network(answer: (path: string, method: string) => unknown) {
  const asked: [method: string, path: string, body: unknown][] = [];
  const url = await serveHttp((request, response, text) => {
    const { method = "", url: path = "" } = request;
    asked.push([method, path, text === "" ? null : JSON.parse(text)]);
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer(path, method)));
  });
  return { asked, tollmill: (...args: string[]) => run(["--url", url, "--api-key", API_KEY, "networks", ...args]) };
}

describe("tollmill networks", () => {
  it("lists them, for people and for programs", async () => {
    const { asked, tollmill } = await network(() => ({ data: [LAB] }));
    const { code, out } = await tollmill();
    expect([code, asked]).toEqual([EXIT.ok, [["GET", "/api/v1/networks", null]]]);
    expect(out).toMatch(new RegExp(`^${ID} +Lab +admin +maker/eight$`, "m"));
    expect(JSON.parse((await tollmill("list", "--json")).out)).toEqual(LAB);
  });

  it("shows one with its rates and members", async () => {
    const { tollmill } = await network((path) => (path.endsWith("/members") ? { data: MEMBERS } : LAB));
    const { out } = await tollmill("show", ID);
    expect(out).toMatch(/^maker\/eight +0\.000010000 +0\.000040000$/m);
    expect(out).toMatch(new RegExp(`^${ID} +admin \\(you\\) +2026-11-22T12:00$`, "m"));
    expect(out).toMatch(new RegExp(`^${MEMBER} +Ada +member +2026`, "m"));
    expect(JSON.parse((await tollmill("show", ID, "--json")).out)).toEqual({ ...LAB, members: MEMBERS });
  });

  it("makes one and sets its rates, and writes its id to stdout alone", async () => {
    const { asked, tollmill } = await network(() => LAB);
    const made = await tollmill("create", "Lab", "--rate", "maker/eight=0.00001/0.00004", "--rate", "b=0/1");
    expect([made.code, made.out]).toEqual([EXIT.ok, ID]);
    await tollmill("rates", ID, "--rate", "b=0/2", "--drop", "maker/eight", "--name", "Den");
    expect(asked).toEqual([
      [
        "POST",
        "/api/v1/networks",
        {
          name: "Lab",
          rates: { "maker/eight": { prompt: "0.00001", completion: "0.00004" }, b: { prompt: "0", completion: "1" } },
        },
      ],
      [
        "PATCH",
        `/api/v1/networks/${ID}`,
        { name: "Den", rates: { b: { prompt: "0", completion: "2" }, "maker/eight": null } },
      ],
    ]);
  });

  it("invites, and writes the token to stdout alone", async () => {
    const { asked, tollmill } = await network((_path, method) =>
      method === "GET" ? { data: [INVITE] } : { ...INVITE, token: TOKEN },
    );
    const { out, err } = await tollmill("invite", ID, "--uses", "2", "--name", "Ada", "--expires", "2026-12-31");
    expect([out, err.includes("to be used 2 times"), err.includes(TOKEN)]).toEqual([TOKEN, true, false]);
    expect(asked[0]).toEqual([
      "POST",
      `/api/v1/networks/${ID}/invites`,
      { name: "Ada", uses: 2, expires_at: "2026-12-31T00:00:00.000Z" },
    ]);
    expect((await tollmill("invites", ID)).out).toMatch(/Ada +expired 2026-11-22T12:00 +0 of 2$/m);
    await tollmill("revoke", ID, MEMBER);
    expect(asked.at(-1)).toEqual(["DELETE", `/api/v1/networks/${ID}/invites/${MEMBER}`, null]);
  });

  it("joins, leaves, removes and closes", async () => {
    const { asked, tollmill } = await network((path) => {
      if (path.endsWith("/join")) return { network: LAB, joined: true };
      return path.includes("/members/") ? { id: MEMBER, ended_at: AT } : { ...LAB, closed_at: AT };
    });
    const joined = await tollmill("join", TOKEN, "--name", "Ada");
    expect([joined.out, joined.err]).toEqual([ID, "You are in the network Lab. Its id:"]);
    expect((await tollmill("leave", ID)).err).toContain("You have left");
    expect((await tollmill("remove", ID, MEMBER)).err).toContain(`${MEMBER} is removed`);
    expect((await tollmill("close", ID)).err).toContain("closed for good");
    expect(asked).toEqual([
      ["POST", "/api/v1/networks/join", { token: TOKEN, name: "Ada" }],
      ["DELETE", `/api/v1/networks/${ID}/members/me`, null],
      ["DELETE", `/api/v1/networks/${ID}/members/${MEMBER}`, null],
      ["DELETE", `/api/v1/networks/${ID}`, null],
    ]);
  });
});

describe("a flag", () => {
  it("of a rate names the model, what a prompt costs, and what a completion costs", () => {
    const rates = rateEntry("maker/eight=0.00001/0.5", rateEntry("b=0/1"));
    expect([...rates.keys()]).toEqual(["b", "maker/eight"]);
    for (const bad of ["maker/eight", "b=1", "b=-1/1", "b=1/1/1", "b=1/0.0000000001", "B=1/1", "=1/1"]) {
      expect(() => rateEntry(bad), bad).toThrow(/MODEL=PROMPT\/COMPLETION/);
    }
  });

  it("of a network is its id, once however often it is said", () => {
    expect(networkEntry(ID, networkEntry(MEMBER, [ID]))).toEqual([ID, MEMBER]);
    expect(() => networkEntry("lab")).toThrow(/22 letters/);
  });
});
