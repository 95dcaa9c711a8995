import { expect, it } from "vitest";
import { read } from "./source-files.ts";

interface LockedPackage {
  resolved?: string;
  link?: boolean;
  optionalDependencies?: Record<string, string>;
}
const { packages } = JSON.parse(read("package-lock.json")) as { packages: Record<string, LockedPackage> };

/** The places where Node would look for a package from another one, nearest first. */
function lookups(from: string, name: string): string[] {
  const own = `${from === "" ? "" : `${from}/`}node_modules/${name}`;
  if (from === "") return [own];
  const end = from.lastIndexOf("node_modules/");
  return [own, ...lookups(from.slice(0, Math.max(end - 1, 0)), name)];
}

it("locks every optional package, so that it installs on platforms other than the one it was made on", () => {
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies }]) =>
    Object.keys(optionalDependencies ?? {})
      .filter((name) => !lookups(path, name).some((place) => place in packages))
      .map((name) => `${name}, wanted by ${path}`),
  );
  expect(missing).toEqual([]);
});

it("locks the binaries of both common servers and desktops", () => {
  for (const platform of ["linux-64", "linux-arm64", "darwin-64", "darwin-arm64", "windows-64"]) {
    expect(packages).toHaveProperty([`node_modules/@cloudflare/workerd-${platform}`]);
  }
});

it("names no registry, so that it installs through whichever the machine uses", () => {
  expect(Object.entries(packages).filter(([, { resolved, link }]) => resolved !== undefined && !link)).toEqual([]);
});
