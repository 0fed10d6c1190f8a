import sys,time,json,numpy as np,keras,tensorflow as tf,pathlib
sys.path.insert(0,'/work/main')
tag=sys.argv[1]; steps=int(sys.argv[2]); over=eval(sys.argv[3]); batch=int(sys.argv[4]); lr=float(sys.argv[5]); opt=sys.argv[6]
from vidgen_tf.models.space_time_dit import *
from vidgen_tf.models.flow_matching import FlowMatching, guided_velocity
from vidgen_tf.worlds.paraphrases import paraphrase
from vidgen_tf import subwords
d=np.load('/tmp/st/faces-lat.npz',allow_pickle=True)
lat=d['lat']; st=d['states'].item()
N=len(lat)
K=4
toks=[]
for k in range(K):
    e,z,_=paraphrase(st,'faces',seed=50+k)
    toks+= [subwords.encode(e),subwords.encode(z)]
toks=np.stack(toks,1)  # N,2K,L
cfg=SpaceTimeConfig(vocabulary_size=640,**over)
keras.utils.set_random_seed(5)
m=SpaceTimeDiffusion(cfg); m.normalization.adapt(lat,np.full_like(lat,-30))
tr=FlowMatching(m,1-10/steps,seed=1)
print('params',m.count_params(),flush=True)
W=100
sch=keras.optimizers.schedules.CosineDecay(0.0,steps-W,warmup_target=lr,warmup_steps=W)
if opt=='adamw': o=keras.optimizers.AdamW(sch,beta_2=.99,weight_decay=.01,global_clipnorm=1.)
else: o=keras.optimizers.Muon(sch,weight_decay=.01,exclude_layers=["text_transformer/embedding"],adam_lr_ratio=.3)
tr.compile(o,jit_compile=True)
rng=np.random.default_rng(0)
def gen():
    while True:
        p=rng.permutation(N)
        for i in range(0,N-batch+1,batch):
            j=p[i:i+batch]; yield {"latents":lat[j],"tokens":toks[j,rng.integers(0,2*K,batch)]}
ds=tf.data.Dataset.from_generator(gen,output_signature={"latents":tf.TensorSpec((batch,*lat.shape[1:]),tf.float32),"tokens":tf.TensorSpec((batch,toks.shape[-1]),tf.int32)}).prefetch(2)
t=time.time()
exec(open('/tmp/st/eval_faces.py').read())
class CB(keras.callbacks.Callback):
    def on_epoch_end(s,e,l):
        print(e,round(time.time()-t),l,flush=True)
        if e in (3,7) or os.environ.get('EV'): print(evaluate(m,tag),round(time.time()-t),flush=True)
import os
tr.fit(ds,steps_per_epoch=steps//8,epochs=8,verbose=0,callbacks=[CB()])
m.save_weights(f'/tmp/st/{tag}.weights.h5')
