import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ERRORS } from "../../core/errors.ts";
import { type Server, startServer } from "../e2e/support/server.ts";
import { hasChromium, launchChromium } from "./chromium.ts";

describe.skipIf(!hasChromium)("the reference", () => {
  let browser: Browser;
  let server: Server;
  beforeAll(async () => {
    [browser, server] = await Promise.all([launchChromium(), startServer()]);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  /** A page at a path, with every host that it asked and everything that it complained of. */
  async function open(path: string): Promise<{ page: Page; hosts: Set<string>; complaints: string[] }> {
    const page = await browser.newPage();
    const hosts = new Set<string>();
    const complaints: string[] = [];
    page.on("request", (request) => {
      const { protocol, host } = new URL(request.url());
      if (protocol !== "data:" && protocol !== "blob:") hosts.add(`${protocol}//${host}`);
    });
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    const response = await page.goto(new URL(path, server.url).href);
    expect(response?.status()).toBe(200);
    return { page, hosts, complaints };
  }

  it("shows every call, and asks nobody but the network itself", async () => {
    const document = (await (await fetch(new URL("/openapi.json", server.url))).json()) as {
      paths: Record<string, Record<string, { summary: string; tags: string[] }>>;
    };
    const operations = Object.entries(document.paths).flatMap(([path, calls]) =>
      Object.values(calls).map(({ summary, tags }) => ({ path, summary, tags })),
    );
    expect(operations.map(({ path }) => path)).toEqual(
      expect.arrayContaining(["/v1/chat/completions", "/api/v1/balance", "/api/v1/receipts/{job}"]),
    );

    const { page, hosts, complaints } = await open("/docs");
    expect(await page.title()).toBe("Tollmill API");
    await page.getByText("/v1/chat/completions").first().waitFor();
    const index = page.getByRole("complementary");
    const closed = index.getByRole("button", { name: /^Open Group/ });
    while ((await closed.count()) > 0) await closed.first().click();
    const listed = await index.getByRole("link", { name: "HTTP Method" }).allTextContents();
    for (const { path, summary } of operations) {
      expect(
        listed.some((text) => text.trim().startsWith(summary)),
        `${path}: ${summary}`,
      ).toBe(true);
    }
    // A call is drawn when its part of the page comes into view.
    for (const path of ["/api/v1/balance", "/api/v1/daemons", "/api/v1/receipts/{job}"]) {
      const summary = operations.find((operation) => operation.path === path)?.summary ?? "";
      await index.getByRole("link", { name: `${summary} HTTP Method` }).click();
      await page.getByRole("main").getByRole("heading", { name: summary }).first().waitFor();
    }
    expect([...hosts]).toEqual([server.url.origin]);
    expect(complaints).toEqual([]);
  });

  it("lists every error under its own anchor, where a problem's type leads", async () => {
    const { page, hosts, complaints } = await open("/docs/errors");
    const rows = await page.locator("dt").evaluateAll((nodes) =>
      nodes.map(({ id, textContent, nextElementSibling }) => ({
        id,
        text: textContent?.trim(),
        fix: nextElementSibling?.textContent?.trim(),
      })),
    );
    expect(rows).toEqual(
      Object.entries(ERRORS).map(([code, { status, title, fix }]) => ({
        id: code,
        text: `${code} (${status})`,
        fix: `${title} ${fix}`,
      })),
    );

    const refused = await fetch(new URL("/api/v1/balance", server.url));
    const { type } = (await refused.json()) as { type: string };
    await page.goto(new URL(type, server.url).href);
    expect(await page.locator(":target").textContent()).toContain("missing_api_key");
    expect([...hosts]).toEqual([server.url.origin]);
    expect(complaints).toEqual([]);
  });
});
