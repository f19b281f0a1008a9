import { Fragment, type ReactNode } from "react";
import css from "./Facts.module.css";

/** Pairs of a name and a value, read top to bottom. */
export function Facts({ facts, columns = 1 }: { facts: readonly (readonly [ReactNode, ReactNode])[]; columns?: 1 | 2 }) {
  return (
    <dl className={columns === 2 ? `${css.facts} ${css.two}` : css.facts}>
      {facts.map(([key, value], index) => (
        <Fragment key={index}>
          <dt>{key}</dt>
          <dd>{value === null || value === undefined || value === "" ? "–" : value}</dd>
        </Fragment>
      ))}
    </dl>
  );
}
