import { TranslationOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { Alert, Button, Form, Input } from "antd";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, setCsrf } from "@/api/client";
import { asProblem, Problem, problemText } from "@/api/problem";
import { sessionQuery } from "@/api/session";
import type { Session } from "@/api/types";
import { setPreferences, usePreferences } from "@/lib/preferences";
import { ThemeSwitch } from "@/ui/ThemeSwitch";
import css from "./LoginPage.module.css";

interface Credentials {
  username: string;
  password: string;
}

export function LoginPage() {
  const { t } = useTranslation("session");
  const queries = useQueryClient();
  const router = useRouter();
  const { language } = usePreferences();
  const [credentials, setCredentials] = useState<Credentials | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);

  useEffect(() => {
    document.title = `${t("login.title")} · ${t("login.product")}`;
  }, [t]);

  const signIn = async (given: Credentials, code?: string) => {
    setBusy(true);
    setFailure(null);
    try {
      const session = await api.post<Session>("/session", code === undefined ? given : { ...given, code });
      setCsrf(session.csrf);
      queries.setQueryData(sessionQuery.queryKey, session);
      // The route's own guard knows where to go next.
      await router.invalidate();
    } catch (error) {
      if (asProblem(error).code === "login.code_required" && code === undefined) setCredentials(given);
      // The password was right a moment ago, so what the server refuses now is the code.
      else if (code !== undefined && asProblem(error).code === "login.failed") setFailure(new Problem({ status: 401, code: "login.code_invalid" }));
      else setFailure(error);
    } finally {
      setBusy(false);
    }
  };

  return (
    <div className={css.page}>
      <div className={css.corner}>
        <Button
          type="text"
          icon={<TranslationOutlined />}
          onClick={() => setPreferences({ language: language === "zh-CN" ? "en-US" : "zh-CN" })}
          lang={language === "zh-CN" ? "en" : "zh"}
        >
          {t("app:switch_language")}
        </Button>
        <ThemeSwitch />
      </div>
      <main className={css.card}>
        <div className={css.brand}>
          <img src="/favicon.svg" alt="" width={40} height={40} />
          <div>
            <h1 className={css.product}>{t("login.product")}</h1>
            <p className={css.claim}>{t("login.claim")}</p>
          </div>
        </div>
        {failure !== null && <Alert type="error" showIcon title={problemText(t, failure)} className={css.alert} />}
        {credentials === null ? (
          <PasswordStep busy={busy} onSubmit={(given) => void signIn(given)} />
        ) : (
          <CodeStep
            busy={busy}
            failed={failure !== null}
            onSubmit={(code) => void signIn(credentials, code)}
            onBack={() => {
              setCredentials(null);
              setFailure(null);
            }}
          />
        )}
      </main>
    </div>
  );
}

function PasswordStep({ busy, onSubmit }: { busy: boolean; onSubmit: (given: Credentials) => void }) {
  const { t } = useTranslation("session");
  const [caps, setCaps] = useState(false);
  return (
    <Form<Credentials> layout="vertical" requiredMark={false} onFinish={onSubmit} disabled={busy} size="large">
      <Form.Item name="username" label={t("login.username")} rules={[{ required: true, whitespace: true, message: t("login.need_username") }]}>
        <Input autoFocus autoComplete="username" autoCapitalize="none" spellCheck={false} />
      </Form.Item>
      <Form.Item
        name="password"
        label={t("login.password")}
        rules={[{ required: true, message: t("login.need_password") }]}
        extra={caps ? t("login.caps") : undefined}
      >
        <Input.Password autoComplete="current-password" onKeyUp={(event) => setCaps(event.getModifierState("CapsLock"))} />
      </Form.Item>
      <Button type="primary" htmlType="submit" block loading={busy}>
        {t("login.submit")}
      </Button>
    </Form>
  );
}

function CodeStep({ busy, failed, onSubmit, onBack }: { busy: boolean; failed: boolean; onSubmit: (code: string) => void; onBack: () => void }) {
  const { t } = useTranslation("session");
  const [code, setCode] = useState("");
  return (
    <form
      className={css.code}
      onSubmit={(event) => {
        event.preventDefault();
        if (code.length === 6) onSubmit(code);
      }}
    >
      <label htmlFor="login-code">{t("login.code")}</label>
      <p className={css.claim}>{t("login.code_hint")}</p>
      <Input
        id="login-code"
        autoFocus
        size="large"
        inputMode="numeric"
        autoComplete="one-time-code"
        maxLength={6}
        value={code}
        status={failed ? "error" : ""}
        className={`${css.digits} num`}
        onChange={(event) => {
          const digits = event.target.value.replace(/\D/g, "");
          setCode(digits);
          if (digits.length === 6) onSubmit(digits);
        }}
      />
      <Button type="primary" htmlType="submit" size="large" block loading={busy} disabled={code.length !== 6}>
        {t("login.code_submit")}
      </Button>
      <Button type="link" onClick={onBack}>
        {t("login.back")}
      </Button>
    </form>
  );
}
