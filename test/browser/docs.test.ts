import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startServer } from "../e2e/server.ts";
import { hasChromium, launchChromium } from "./chromium.ts";

describe.skipIf(!hasChromium)("the reference", () => {
  let browser: Browser;
  let server: Awaited<ReturnType<typeof startServer>>;
  beforeAll(async () => {
    [browser, server] = await Promise.all([launchChromium(), startServer()]);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  it("shows every call, and asks nobody but the network itself", async () => {
    const page = await browser.newPage();
    const hosts = new Set<string>();
    const complaints: string[] = [];
    page.on("request", (request) => {
      const { protocol, host } = new URL(request.url());
      if (protocol.startsWith("http")) hosts.add(host);
    });
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(new URL("/docs", server.url).href);
    for (const text of ["Ask a model", "Account", "Supply", "Operations"]) {
      await page.getByText(text, { exact: true }).first().waitFor({ state: "attached" });
    }
    await page.waitForLoadState("networkidle");
    expect([...hosts]).toEqual([server.url.host]);
    expect(complaints).toEqual([]);
  });
});
