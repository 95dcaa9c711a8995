import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startServer } from "../e2e/server.ts";
import { hasChromium, launchChromium } from "./chromium.ts";

describe.skipIf(!hasChromium)("in a browser", () => {
  let browser: Browser;
  let server: Awaited<ReturnType<typeof startServer>>;
  beforeAll(async () => {
    [browser, server] = await Promise.all([launchChromium(), startServer()]);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  it("opens the network's front page", async () => {
    const page = await browser.newPage();
    const response = await page.goto(server.url.href);
    expect(response?.status()).toBeLessThan(500);
  });
});
