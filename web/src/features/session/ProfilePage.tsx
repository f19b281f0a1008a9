import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Alert, App, Button, Form, Input, Popconfirm, Segmented } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { problemText } from "@/api/problem";
import { sessionQuery, useSession } from "@/api/session";
import type { SecondFactor } from "@/api/types";
import { languages, setPreferences, usePreferences, type Language } from "@/lib/preferences";
import { stamp } from "@/lib/time";
import { Facts } from "@/ui/Facts";
import { PageFrame, Panel } from "@/ui/PageFrame";
import { QrCode } from "@/ui/QrCode";
import { ThemeSwitch } from "@/ui/ThemeSwitch";
import css from "./ProfilePage.module.css";

export function ProfilePage() {
  const { t } = useTranslation("session");
  const session = useSession();
  const { language } = usePreferences();
  return (
    <PageFrame title={t("profile.title")}>
      {session.must_enrol && <Alert type="warning" showIcon title={t("factor.must")} />}
      <div className={css.columns}>
        <Panel title={t("profile.account")}>
          <Facts
            facts={[
              [t("profile.username"), session.user.username],
              [t("profile.name"), session.user.name],
              [t("profile.roles"), session.user.roles.map((role) => t(`common:role.${role}`)).join(t("app:comma"))],
              [t("profile.expires"), stamp(session.expires_at)],
            ]}
          />
        </Panel>
        <Panel title={t("display.title")}>
          <div className={css.row}>
            <span>{t("display.language")}</span>
            <Segmented<Language>
              value={language}
              onChange={(chosen) => setPreferences({ language: chosen })}
              options={languages.map((value) => ({ value, label: t(`language.${value}`) }))}
            />
            <ThemeSwitch />
          </div>
        </Panel>
        <Panel title={t("password.title")}>
          <PasswordForm />
        </Panel>
        <Panel title={t("factor.title")}>
          <SecondFactorForm enabled={session.second_factor} />
        </Panel>
      </div>
    </PageFrame>
  );
}

function PasswordForm() {
  const { t } = useTranslation("session");
  const { message } = App.useApp();
  const [form] = Form.useForm<{ old: string; new: string; again: string }>();
  const change = useMutation({
    mutationFn: (body: { old: string; new: string }) => api.put<null>("/session/password", body),
    onSuccess: () => {
      form.resetFields();
      void message.success(t("password.done"));
    },
    onError: (error) => void message.error(problemText(t, error)),
  });
  const required = { required: true, message: t("password.need") };
  return (
    <Form
      form={form}
      layout="vertical"
      requiredMark={false}
      className={css.form}
      onFinish={({ old, new: chosen }: { old: string; new: string }) => change.mutate({ old, new: chosen })}
    >
      <Form.Item name="old" label={t("password.old")} rules={[required]}>
        <Input.Password autoComplete="current-password" />
      </Form.Item>
      <Form.Item name="new" label={t("password.new")} extra={t("password.rule")} rules={[required, { min: 12, message: t("password.rule") }]}>
        <Input.Password autoComplete="new-password" />
      </Form.Item>
      <Form.Item
        name="again"
        label={t("password.again")}
        dependencies={["new"]}
        rules={[
          required,
          ({ getFieldValue }) => ({
            validator: (_, value: unknown) =>
              !value || value === getFieldValue("new") ? Promise.resolve() : Promise.reject(new Error(t("password.differs"))),
          }),
        ]}
      >
        <Input.Password autoComplete="new-password" />
      </Form.Item>
      <Button type="primary" htmlType="submit" loading={change.isPending}>
        {t("password.submit")}
      </Button>
    </Form>
  );
}

function SecondFactorForm({ enabled }: { enabled: boolean }) {
  const { t } = useTranslation("session");
  const { message } = App.useApp();
  const queries = useQueryClient();
  const [offer, setOffer] = useState<SecondFactor | null>(null);
  const [code, setCode] = useState("");
  const fail = (error: unknown) => void message.error(problemText(t, error));
  const refresh = () => queries.invalidateQueries({ queryKey: sessionQuery.queryKey });

  const begin = useMutation({ mutationFn: () => api.post<SecondFactor>("/session/second-factor"), onSuccess: setOffer, onError: fail });
  const confirm = useMutation({
    mutationFn: () => api.post<null>("/session/second-factor/confirm", { code }),
    onSuccess: async () => {
      setOffer(null);
      setCode("");
      await refresh();
      void message.success(t("factor.enabled"));
    },
    onError: fail,
  });
  const remove = useMutation({
    mutationFn: () => api.delete("/session/second-factor"),
    onSuccess: async () => {
      await refresh();
      void message.success(t("factor.disabled"));
    },
    onError: fail,
  });

  if (enabled)
    return (
      <div className={css.stack}>
        <p>{t("factor.on")}</p>
        <Popconfirm title={t("factor.remove_ask")} onConfirm={() => remove.mutate()}>
          <Button danger loading={remove.isPending}>
            {t("factor.remove")}
          </Button>
        </Popconfirm>
      </div>
    );
  if (offer === null)
    return (
      <div className={css.stack}>
        <p>{t("factor.off")}</p>
        <Button onClick={() => begin.mutate()} loading={begin.isPending}>
          {t("factor.begin")}
        </Button>
      </div>
    );
  return (
    <form
      className={css.stack}
      onSubmit={(event) => {
        event.preventDefault();
        if (code.length === 6) confirm.mutate();
      }}
    >
      <p>{t("factor.scan")}</p>
      <QrCode svg={offer.qr_svg} label={t("factor.qr")} />
      <p className={css.hint}>
        {t("factor.secret")} <span className="mono">{offer.secret}</span>
      </p>
      <div className={css.row}>
        <Input
          autoFocus
          inputMode="numeric"
          autoComplete="one-time-code"
          maxLength={6}
          value={code}
          aria-label={t("login.code")}
          placeholder={t("login.code")}
          onChange={(event) => setCode(event.target.value.replace(/\D/g, ""))}
          style={{ width: 140 }}
        />
        <Button type="primary" htmlType="submit" disabled={code.length !== 6} loading={confirm.isPending}>
          {t("factor.confirm")}
        </Button>
        <Button onClick={() => setOffer(null)}>{t("common:cancel")}</Button>
      </div>
    </form>
  );
}
