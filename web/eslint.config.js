import { readdirSync } from "node:fs";
import hooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

const features = readdirSync(new URL("./src/features", import.meta.url));
const forbid = (...patterns) => ["error", { patterns: patterns.map(([group, message]) => ({ group, message })) }];
const upward = [["@/app", "@/app/**", "../app/**", "../../app/**", "../../../app/**"], "Only app/ composes; nothing below it may know it."];

export default tseslint.config(
  { ignores: ["dist", "node_modules", "src/api/schema.gen.ts"] },
  ...tseslint.configs.recommended,
  {
    files: ["src/**/*.{ts,tsx}"],
    plugins: { "react-hooks": hooks },
    rules: {
      "react-hooks/rules-of-hooks": "error",
      "react-hooks/exhaustive-deps": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/consistent-type-imports": "error",
      "no-console": "error",
      eqeqeq: ["error", "always", { null: "ignore" }],
      "no-restricted-globals": ["error", { name: "alert" }, { name: "confirm" }, { name: "prompt" }],
    },
  },
  // A feature is a border: features meet in app/ and share ui/, lib/ and api/.
  ...features.map((feature) => ({
    files: [`src/features/${feature}/**/*.{ts,tsx}`],
    rules: {
      "no-restricted-imports": forbid(
        upward,
        [[...features.filter((other) => other !== feature).flatMap((other) => [`@/features/${other}`, `@/features/${other}/**`, `**/${other}/**`])], "Features do not import each other; compose them in app/."],
      ),
    },
  })),
  {
    files: ["src/{ui,lib,api}/**/*.{ts,tsx}"],
    rules: { "no-restricted-imports": forbid(upward, [["@/features/**", "@/viewer/**"], "ui/, lib/ and api/ know no feature."]) },
  },
  {
    files: ["src/viewer/**/*.{ts,tsx}"],
    rules: { "no-restricted-imports": forbid(upward, [["@/features/**"], "The viewer knows no feature."]) },
  },
  {
    files: ["src/app/**/*.{ts,tsx}"],
    rules: { "no-restricted-imports": forbid([["@/features/*/*"], "Use what the feature's index exports."]) },
  },
);
