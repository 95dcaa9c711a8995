// Imports run one way. Each folder names the folders it may import besides itself; everything else is refused.
const mayImport = {
  core: [],
  protocol: ["core"],
  "durable-objects": ["core", "protocol"],
  db: ["core", "protocol"],
  queues: ["core", "protocol", "db", "durable-objects"],
  workers: ["core", "protocol", "db", "durable-objects", "queues"],
  daemon: ["core", "protocol"],
  web: ["core", "protocol"],
  localnet: ["core", "protocol"],
  bench: ["core", "protocol", "test"],
};

// Tests look into everything, and nothing but benchmarks looks into them.
const folders = [...Object.keys(mayImport), "test"];

const oneWay = Object.entries(mayImport).map(([folder, allowed]) => ({
  name: `${folder}-imports`,
  comment: `${folder}/ may import ${["itself", ...allowed].join(", ")} and packages`,
  severity: "error",
  from: { path: `^${folder}/` },
  to: { path: `^(${folders.filter((other) => other !== folder && !allowed.includes(other)).join("|")})/` },
}));

module.exports = {
  forbidden: [
    ...oneWay,
    {
      name: "bench-support",
      comment: "bench/ measures what is deployed, so of the tests it may use their support alone",
      severity: "error",
      from: { path: "^bench/" },
      to: { path: "^test/(?!support/)" },
    },
    {
      name: "platform-free",
      comment: "core/ and protocol/ run in workerd, Node and the browser, so they import none of their modules",
      severity: "error",
      from: { path: "^(core|protocol)/" },
      to: { path: "^(node|cloudflare):" },
    },
    {
      name: "platform-free-builtin",
      comment: "the same for Node's modules under their names without a prefix",
      severity: "error",
      from: { path: "^(core|protocol)/" },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "no-circular",
      comment: "two files that need each other are one file or three",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      // An import that can't be resolved can't be judged either, so a checker gone blind fails instead of passing.
      name: "resolvable",
      comment: "every import leads to a file or an installed package",
      severity: "error",
      from: {},
      to: { couldNotResolve: true, pathNot: "^(cloudflare|node):" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^localnet/model/" },
    // Type-only imports count: they tie folders together as firmly as values do.
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["workerd", "import", "require", "node", "default", "types"],
      extensions: [".ts", ".tsx", ".mjs", ".cjs", ".js", ".json", ".d.ts"],
    },
  },
};
