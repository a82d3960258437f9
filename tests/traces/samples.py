"""A few requests in each format, as its publishers write it."""

MINUTES = ",".join(map(str, range(1, 1441)))


def counts(*first):
    """Return the counts of a day whose later minutes are empty."""
    return ",".join(map(str, [*first, *[0] * (1440 - len(first))]))


SAMPLES = {
    "katz": '[{"timestamp": 3, "ip": "n1", "scene_id": "A", "base_model_id": "m", "controlnets": ["c"], "loras": null},'
    ' {"timestamp": 3, "ip": "n2", "scene_id": "B", "base_model_id": null, "controlnets": [], "loras": ["l", null]}]',
    "jsonl": '{"arrival_s": 1.5, "origin": "simulated", "loras": [{"name": "l", "scale": 0.5}]}\n{"arrival_s": 2}\n',
    "gentd26": "gmt_create,predict_type,predict_status,exec_time_seconds,groupId,prompt_length,negative_prompt_length,"
    "num_images_per_prompt,num_inference_steps,checkpoint_model_version_id,num_lora\n"
    "2024-11-15 16:57:50,TXT_2_IMG,SUCCEED,32.0,G0,63.0,26.0,1.0,30.0,M0,0\n"
    "2024-11-15 18:16:14,INPAINTING,FAILED,43.0,G1,93.0,,,40.0,M1,2\n"
    "2024-11-15 18:17:06,IMG_2_IMG,PENDING,0.0,G1,93.0,,8.0,,,1\n",
    "diffserve": "36.0,3132\n111.0,3971\n760.0,2468\n",
    "omni": "Request(request_id='req-0001', prompt='it\\'s a cat', width=1536, height=1024, num_inference_steps=70)\n"
    "Request(request_id='req-0002', text=\"two, cats\", timestamp=1.5, slo_ms=2500, seed=7, num_frames=16)\n",
    "azure-functions-2019": f"HashOwner,HashApp,HashFunction,Trigger,{MINUTES}\n"
    f"o1,a1,f1,http,{counts(2, 1)}\no2,a2,f2,queue,{counts(1)}\n",
    "azure-functions-2021": "app,func,end_timestamp,duration\na1,f1,5.5,5.25\na1,f2,1.75,0.5\n",
    "azure-llm": "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n"
    "2024-05-10 00:00:00.009930+00:00,396,109\n",
    "accuscale": "Prompt,exp_time\na cat,0.5\na dog,2.25\n",
}
