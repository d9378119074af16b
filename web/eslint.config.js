import importX from "eslint-plugin-import-x";
import hooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

/** The floors of the page: each may import itself and what lies below it. */
const floors = ["wire", "ui", "state", "controls", "features"];
const below = { wire: [], ui: [], state: ["wire"], controls: ["wire", "ui", "state"], features: ["wire", "ui", "state", "controls"] };
const features = ["controls", "inputs", "keys", "notices", "pipelines", "prompts", "stage"];

const upward = floors.map((floor) => ({
  target: `./src/${floor}`,
  from: "./src",
  except: [`./${floor}`, ...below[floor].map((name) => `./${name}`)],
  message: `${floor} may import only ${[floor, ...below[floor]].join(", ")}`,
}));
const sideways = features.map((feature) => ({
  target: `./src/features/${feature}`,
  from: "./src/features",
  except: [`./${feature}`],
  message: "a feature never imports another; compose them in app.tsx",
}));

export default tseslint.config(
  { ignores: ["node_modules", "dist", "dev"] },
  ...tseslint.configs.strict,
  hooks.configs.flat.recommended,
  {
    files: ["src/**/*.{ts,tsx}"],
    plugins: { "import-x": importX },
    settings: { "import-x/resolver-next": [importX.createNodeResolver({ extensions: [".ts", ".tsx", ".css"] })] },
    rules: {
      "import-x/no-restricted-paths": ["error", { basePath: import.meta.dirname, zones: [...upward, ...sideways] }],
      "import-x/no-cycle": "error",
      "max-lines": ["error", 200],
      "max-lines-per-function": ["error", 80],
      complexity: ["error", 12],
      "no-console": "error",
      "@typescript-eslint/no-explicit-any": "error",
    },
  },
  { files: ["src/**/*.test.{ts,tsx}"], rules: { "max-lines-per-function": "off", "@typescript-eslint/no-non-null-assertion": "off" } },
  { files: ["src/wire/**", "src/state/**"], rules: { "no-restricted-imports": ["error", "react", "react-dom", "zustand"] } },
);
