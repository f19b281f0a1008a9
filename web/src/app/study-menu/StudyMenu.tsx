import { DeleteOutlined, MoreOutlined } from "@ant-design/icons";
import { Button, Dropdown } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useMay } from "@/api/session";
import type { Deletion } from "@/api/types";
import { DeleteImages } from "./DeleteImages";

interface Props {
  /** Of one patient; more than one where a case has several. */
  studyUids: readonly string[];
  onDeleted?: (deletion: Deletion) => void;
}

/** What can be done to a study beside looking at it. Nothing is shown to whoever may do none of it. */
export function StudyMenu({ studyUids, onDeleted }: Props) {
  const { t } = useTranslation("study-menu");
  const may = useMay();
  const [deleting, setDeleting] = useState(false);
  if (!may("study.delete") || studyUids.length === 0) return null;
  return (
    <>
      <Dropdown
        trigger={["click"]}
        menu={{
          items: [{ key: "delete", danger: true, icon: <DeleteOutlined />, label: t("delete") }],
          onClick: () => setDeleting(true),
        }}
      >
        <Button type="text" size="small" icon={<MoreOutlined />} aria-label={t("menu")} title={t("menu")} />
      </Dropdown>
      {deleting && (
        <DeleteImages
          studyUids={studyUids}
          onClose={() => setDeleting(false)}
          onDeleted={(deletion) => {
            setDeleting(false);
            onDeleted?.(deletion);
          }}
        />
      )}
    </>
  );
}
