import { useSearch } from "@tanstack/react-router";
import { Button } from "antd";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Failure } from "@/ui/Failure";
import { PageFrame, Panel } from "@/ui/PageFrame";
import { bench, type BenchResult } from "@/viewer";
import css from "./Room.module.css";

/** `/viewer/bench?study=…&series=…`: how fast this browser gets a series from this server. */
export function ViewerBenchPage() {
  const { t } = useTranslation("viewer");
  const search: Record<string, string | undefined> = useSearch({ strict: false });
  const [result, setResult] = useState<BenchResult | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    window.__mingyingBench = bench;
    return () => {
      delete window.__mingyingBench;
    };
  }, []);
  const study = search["study"];
  const series = search["series"];
  const run = async (): Promise<void> => {
    if (study === undefined || series === undefined) return;
    setBusy(true);
    setFailure(null);
    try {
      setResult(await bench(study, series, search["modality"]));
    } catch (error) {
      setFailure(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <PageFrame
      title={t("bench.title")}
      aside={t("bench.hint")}
      actions={
        <Button
          type="primary"
          loading={busy}
          disabled={study === undefined || series === undefined}
          onClick={() => void run()}
        >
          {t(busy ? "bench.running" : "bench.run")}
        </Button>
      }
    >
      {failure !== null && <Failure error={failure} />}
      {result !== null && (
        <Panel>
          <dl className={css.bench} data-testid="bench-result">
            <Figure name={t("bench.images")} value={String(result.images)} />
            <Figure name={t("bench.seconds")} value={result.seconds.toFixed(2)} />
            <Figure name={t("bench.first")} value={result.firstImageMs.toFixed(0)} />
            <Figure name={t("bench.rate")} value={result.imagesPerSecond.toFixed(1)} />
            <Figure name={t("bench.bytes")} value={result.megabytesPerSecond.toFixed(1)} />
            <Figure name={t("bench.syntax")} value={result.transferSyntax} />
          </dl>
        </Panel>
      )}
    </PageFrame>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className="num">{value}</dd>
    </div>
  );
}
